"""Pictures of a guest's screen: QEMU's PPM files, whether two of them differ, and PNG for people to look at."""

import re
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

MAX_PIXELS = 4096 * 4096
"""The largest picture that is looked at; QEMU's VGA has memory for less."""

_CURSOR_WIDTH = 36
_CURSOR_HEIGHT = 40
"""Pixels. Text cursors blink: the largest console font, 16x32, has one of that size."""

_HEADER = re.compile(rb"P6\s+(\d{1,5})\s+(\d{1,5})\s+255\s")


@dataclass(frozen=True)
class Picture:
    """A screen.

    Attributes:
        width: pixels.
        height: pixels.
        rgb: three bytes a pixel, rows from the top.
    """

    width: int
    height: int
    rgb: bytes = field(repr=False)

    @property
    def blank(self) -> bool:
        """Whether every pixel has the same colour."""
        return self.rgb == self.rgb[:3] * (self.width * self.height)


def read_ppm(path: Path) -> Picture | None:
    """The picture that QEMU's screendump wrote (PPM, netpbm's P6); None when there is none yet."""
    try:
        with path.open("rb") as file:
            content = file.read(64 + 3 * MAX_PIXELS)
    except FileNotFoundError:
        return None
    found = _HEADER.match(content)
    if found is None:
        return None
    width, height = int(found[1]), int(found[2])
    pixels = content[found.end() :]
    return Picture(width, height, pixels) if width * height > 0 and len(pixels) == 3 * width * height else None


def differs(before: Picture, after: Picture) -> bool:
    """Whether two pictures show different things. A blinking cursor is no difference."""
    if (before.width, before.height) != (after.width, after.height):
        return True
    if before.rgb == after.rgb:
        return False
    stride = 3 * before.width
    rows = [
        number
        for number in range(before.height)
        if before.rgb[number * stride : (number + 1) * stride] != after.rgb[number * stride : (number + 1) * stride]
    ]
    if rows[-1] - rows[0] >= _CURSOR_HEIGHT:
        return True
    columns = [
        column
        for row in rows
        for column in range(row * stride, (row + 1) * stride)
        if before.rgb[column] != after.rgb[column]
    ]
    pixels = [(column % stride) // 3 for column in columns]
    return max(pixels) - min(pixels) >= _CURSOR_WIDTH


def png(picture: Picture) -> bytes:
    """The picture as PNG (ISO/IEC 15948): eight bits a channel, truecolour, no filters."""
    stride = 3 * picture.width
    rows = b"".join(b"\0" + picture.rgb[number * stride : (number + 1) * stride] for number in range(picture.height))
    header = struct.pack(">IIBBBBB", picture.width, picture.height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, content)
        for kind, content in ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 6)), (b"IEND", b""))
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
