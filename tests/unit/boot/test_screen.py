import struct
import zlib

import pytest

from hyper2kvm.boot.screen import MAX_PIXELS, Picture, differs, png, read_ppm
from unit.boot.situations import load_screen


def plain(width=720, height=400):
    return Picture(width, height, bytes(3 * width * height))


def with_block(picture, left, top, width, height):
    pixels = bytearray(picture.rgb)
    for row in range(top, top + height):
        start = 3 * (row * picture.width + left)
        pixels[start : start + 3 * width] = b"\xaa" * (3 * width)
    return Picture(picture.width, picture.height, bytes(pixels))


def test_qemus_pictures_are_read(tmp_path):
    file = tmp_path / "screen.ppm"
    file.write_bytes(b"P6\n2 1\n255\n" + b"abcdef")
    assert read_ppm(file) == Picture(2, 1, b"abcdef")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"P6\n2 1\n255\nabc",
        b"P6\n0 0\n255\n",
        b"P5\n2 1\n255\nab",
        b"P6\n99999 99999\n255\nabc",
        b"P6\n2 1\n65535\n",
    ],
)
def test_half_written_and_strange_pictures_are_none(tmp_path, content):
    file = tmp_path / "screen.ppm"
    file.write_bytes(content)
    assert read_ppm(file) is None


def test_a_picture_that_is_too_large_is_none(tmp_path):
    file = tmp_path / "screen.ppm"
    with file.open("wb") as out:
        out.write(b"P6\n4097 4097\n255\n")
        out.truncate(100 + 3 * (MAX_PIXELS + 10000))
    assert read_ppm(file) is None


def test_no_picture_is_none(tmp_path):
    assert read_ppm(tmp_path / "screen.ppm") is None


def test_equal_pictures_do_not_differ():
    assert not differs(plain(), plain())


@pytest.mark.parametrize(("width", "height"), [(9, 2), (9, 16), (16, 32)])
def test_a_blinking_cursor_is_no_difference(width, height):
    assert not differs(plain(), with_block(plain(), 100, 100, width, height))


def test_a_word_is_a_difference():
    assert differs(plain(), with_block(plain(), 100, 100, 60, 14))


def test_lines_that_moved_are_a_difference():
    assert differs(plain(), with_block(plain(), 100, 100, 9, 200))


def test_another_size_is_a_difference():
    assert differs(plain(), plain(640, 480))


def test_blankness():
    assert plain().blank
    assert not with_block(plain(), 1, 1, 1, 1).blank


def test_png_has_every_pixel():
    picture = load_screen("login")
    content = png(picture)
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", content[16:24]) == (picture.width, picture.height)
    start = content.index(b"IDAT") + 4
    rows = zlib.decompress(content[start:])
    stride = 3 * picture.width + 1
    assert b"".join(rows[y * stride + 1 : (y + 1) * stride] for y in range(picture.height)) == picture.rgb
