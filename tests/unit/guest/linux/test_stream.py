import pytest

from hyper2kvm.guest.linux import stream
from hyper2kvm.guest.linux.stream import ByteStream


def pieces(*parts: bytes):
    yield from parts
    return 99


def test_bytes_are_read_across_pieces():
    reader = ByteStream(pieces(b"ab", b"", b"cdef"))
    assert reader.read(3) == b"abc"
    assert reader.skip(2) == b""
    assert reader.position == 5
    assert not reader.finished
    assert reader.read(1) == b"f"
    assert reader.finished
    assert reader.end == 99


def test_zeros_are_passed_over_to_the_next_byte_or_the_end():
    reader = ByteStream(pieces(b"a\0\0", b"\0", b"\0b\0"))
    reader.read(1)
    reader.skip_zeros()
    assert (reader.read(1), reader.position) == (b"b", 6)
    reader.skip_zeros()
    assert reader.finished


def test_an_early_end_is_an_error():
    with pytest.raises(ValueError, match="ends in the middle"):
        ByteStream(pieces(b"ab")).read(3)


def test_more_than_the_limit_is_an_error(monkeypatch):
    monkeypatch.setattr(stream, "MAX_BYTES", 10)
    with pytest.raises(ValueError, match="unpacks to more than"):
        ByteStream(pieces(b"x" * 8, b"x" * 8)).skip(12)
