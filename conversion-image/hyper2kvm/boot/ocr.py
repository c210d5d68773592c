"""Text of a guest's screen, as Tesseract reads it."""

from hyper2kvm.boot.screen import Picture
from hyper2kvm.run import run
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason

_SCALE = 2
"""Console fonts are eight pixels wide. Twice that is what Tesseract reads best of 1, 2 and 3 (SeaBIOS, OVMF, fbcon)."""

_SCALED_UP_TO = 1600
"""Width in pixels from which a picture is large enough as it is."""

_MAX_TEXT = 64 * 1024
_DEADLINE = 60.0
_INVERTED = bytes(255 - value for value in range(256))
_UNREADABLE = {Reason.PROGRAM_FAILED, Reason.PROGRAM_TIMED_OUT}


def read(picture: Picture) -> str:
    """The text of a picture, with Tesseract's usual mistakes; empty when it finds none.

    Raises:
        HostError: ProgramMissing.
    """
    if picture.blank:
        return ""
    # One uniform block of text (psm 6): page layout analysis takes gaps of consoles for columns.
    arguments = ["tesseract", "stdin", "stdout", "--psm", "6", "-l", "eng"]
    try:
        done = run(arguments, stdin=prepared(picture), deadline=_DEADLINE, environment={"OMP_THREAD_LIMIT": "1"})
    except HostError as error:
        if error.reason in _UNREADABLE:
            return ""
        raise
    return done.text[:_MAX_TEXT]


def prepared(picture: Picture) -> bytes:
    """The picture as Tesseract likes it: grey (PGM, netpbm's P5), dark on light, large."""
    rgb = picture.rgb
    # The brightest channel: coloured text on black keeps its contrast.
    grey = bytes(map(max, rgb[0::3], rgb[1::3], rgb[2::3]))
    if 2 * sum(grey) < 255 * len(grey):
        grey = grey.translate(_INVERTED)
    scale = _SCALE if picture.width < _SCALED_UP_TO else 1
    rows = (grey[start : start + picture.width] for start in range(0, len(grey), picture.width))
    pixels = b"".join(_stretched(row, scale) * scale for row in rows)
    return b"P5 %d %d 255\n" % (picture.width * scale, picture.height * scale) + pixels


def _stretched(row: bytes, scale: int) -> bytes:
    wide = bytearray(len(row) * scale)
    for offset in range(scale):
        wide[offset::scale] = row
    return bytes(wide)
