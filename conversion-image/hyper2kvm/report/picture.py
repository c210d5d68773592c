"""The screenshot in the report: as it is where it is small, else with fewer colours and then smaller.

Reads what boot/screen.py writes: PNG (ISO/IEC 15948) of eight bits a channel, truecolour, without filters.
"""

import struct
import zlib
from dataclasses import dataclass, field

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_PIXELS = 4096 * 4096
_RED, _GREEN, _BLUE = 0b11100000, 0b00011100, 0b00000011
"""Bits of a pixel's number in the palette that say how much of a colour it has."""


@dataclass(frozen=True)
class _Picture:
    width: int
    height: int
    rows: list[bytes] = field(repr=False)


def fitted(png: bytes, limit: int) -> bytes | None:
    """The picture as PNG of at most `limit` bytes; None when it is no picture of ours, or nothing is left of it."""
    if len(png) <= limit:
        return png
    picture = _read(png)
    if picture is None:
        return None
    step = 1
    while step <= min(picture.width, picture.height):
        made = _palettised(picture, step)
        if len(made) <= limit:
            return made
        step += 1
    return None


def _read(png: bytes) -> _Picture | None:
    if not png.startswith(_SIGNATURE):
        return None
    content, position = b"", len(_SIGNATURE)
    header = b""
    while position + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, position)
        kind, chunk = png[position + 4 : position + 8], png[position + 8 : position + 8 + length]
        header = chunk if kind == b"IHDR" else header
        content += chunk if kind == b"IDAT" else b""
        position += length + 12
    if len(header) != 13:
        return None
    width, height, *form = struct.unpack(">IIBBBBB", header)
    stride = 1 + 3 * width
    if form != [8, 2, 0, 0, 0] or not 0 < width * height <= _MAX_PIXELS:
        return None
    try:
        pixels = zlib.decompressobj().decompress(content, stride * height)
    except zlib.error:
        return None
    rows = [pixels[start : start + stride] for start in range(0, stride * height, stride)]
    if len(pixels) != stride * height or any(row[0] for row in rows):
        return None
    return _Picture(width, height, [row[1:] for row in rows])


def _palettised(picture: _Picture, step: int) -> bytes:
    """Every `step`th pixel of every `step`th row, in 256 colours: three bits of red and green, two of blue."""
    rows = []
    for row in picture.rows[::step]:
        channels = (row[offset :: 3 * step] for offset in range(3))
        numbers = (
            int.from_bytes(channel.translate(table), "big") for channel, table in zip(channels, _TABLES, strict=True)
        )
        width = len(row[:: 3 * step])
        red, green, blue = numbers
        rows.append(b"\0" + (red | green | blue).to_bytes(width, "big"))
    header = struct.pack(">IIBBBBB", len(rows[0]) - 1, len(rows), 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", _PALETTE), (b"IDAT", zlib.compress(b"".join(rows), 9)), (b"IEND", b""))
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


_TABLES = (
    bytes(value & _RED for value in range(256)),
    bytes((value >> 3) & _GREEN for value in range(256)),
    bytes(value >> 6 for value in range(256)),
)
_PALETTE = bytes(
    shade
    for number in range(256)
    for shade in (
        ((number & _RED) >> 5) * 255 // 7,
        ((number & _GREEN) >> 2) * 255 // 7,
        (number & _BLUE) * 255 // 3,
    )
)
