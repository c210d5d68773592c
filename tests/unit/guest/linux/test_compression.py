import gzip
import random
import subprocess

import pytest

from hyper2kvm.guest.linux import compression, stream
from hyper2kvm.guest.linux.bytesource import HeldBytes
from hyper2kvm.guest.linux.compression import Compression
from hyper2kvm.guest.linux.stream import ByteStream

PROGRAMS = {
    Compression.GZIP: ["gzip", "-c"],
    Compression.XZ: ["xz", "-c", "--check=crc32"],
    Compression.ZSTD: ["zstd", "-q", "-c"],
    Compression.LZ4: ["lz4", "-q", "-l", "-c"],
    Compression.LZMA: ["xz", "-c", "--format=lzma"],
    Compression.BZIP2: ["bzip2", "-c"],
    Compression.LZO: ["lzop", "-c"],
}
CONTENT = b"".join(number.to_bytes(4, "little") * 3 for number in range(200_000)) + bytes(1 << 20)


def compressed(kind: Compression, content: bytes) -> bytes:
    return subprocess.run(PROGRAMS[kind], input=content, capture_output=True, check=True).stdout


def unpacked(kind: Compression, image: bytes, start: int) -> tuple[bytes, int | None]:
    reader = ByteStream(compression.unpack(kind, HeldBytes(image), start))
    parts = []
    while not reader.finished:
        parts.append(reader.read(1))
        parts.append(reader._piece[reader._taken :])
        reader._taken = len(reader._piece)
    return b"".join(parts), reader.end


@pytest.mark.parametrize("kind", PROGRAMS)
def test_what_the_usual_tool_packs_is_unpacked_from_the_middle_of_an_image(kind):
    image = b"\0" * 12 + compressed(kind, CONTENT)
    assert compression.identify(HeldBytes(image), 12) is kind
    assert unpacked(kind, image, 12) == (CONTENT, len(image))


@pytest.mark.parametrize("kind", PROGRAMS)
def test_the_end_of_a_part_is_found_when_zeros_follow(kind):
    packed = compressed(kind, CONTENT[:5000])
    assert unpacked(kind, packed + b"\0" * 8 + b"070701", 0) == (CONTENT[:5000], len(packed))


@pytest.mark.parametrize("kind", [kind for kind in PROGRAMS if kind is not Compression.LZ4])
def test_the_end_of_a_part_is_found_when_another_follows_at_once(kind):
    packed = compressed(kind, CONTENT[:5000])
    assert unpacked(kind, packed + gzip.compress(b"next"), 0) == (CONTENT[:5000], len(packed))


@pytest.mark.parametrize("kind", PROGRAMS)
def test_a_large_image_is_never_held_whole(kind):
    """Noise stays as large as it is, whatever packs it."""
    noise = random.Random(0).randbytes(3 << 20)
    packed = compressed(kind, noise)
    asked = []

    class Told(HeldBytes):
        def read(self, offset: int, count: int) -> bytes:
            asked.append(count)
            return super().read(offset, count)

    held = [len(piece) for piece in compression.unpack(kind, Told(packed), 0)]
    assert sum(held) == len(noise)
    largest = (8 << 20) + (1 << 16) if kind is Compression.LZ4 else compression.PIECE
    assert max(asked) <= largest
    assert max(held) <= largest


def test_lz4_frames_are_one_stream():
    image = compressed(Compression.LZ4, b"first") + compression.lz4_legacy(b"second")
    assert unpacked(Compression.LZ4, image, 0) == (b"firstsecond", len(image))


def test_lz4_reads_our_frames():
    packed = compression.lz4_legacy(CONTENT * 3)
    assert subprocess.run(["lz4", "-d", "-c"], input=packed, capture_output=True, check=True).stdout == CONTENT * 3


@pytest.mark.parametrize("kind", PROGRAMS)
@pytest.mark.parametrize("cut", [0.1, 0.5, 0.95])
def test_a_part_that_was_cut_is_an_error_or_ends_early(kind, cut):
    packed = compressed(kind, CONTENT)
    try:
        content, _ = unpacked(kind, packed[: int(len(packed) * cut)], 0)
    except compression.ERRORS:
        return
    assert len(content) < len(CONTENT)


@pytest.mark.parametrize("kind", PROGRAMS)
def test_a_part_with_flipped_bytes_raises_nothing_else(kind):
    packed = bytearray(compressed(kind, CONTENT[:50_000]))
    for at in range(16, len(packed), 97):
        packed[at] ^= 0x5A
    try:
        unpacked(kind, bytes(packed), 0)
    except compression.ERRORS:
        return


@pytest.mark.parametrize("kind", PROGRAMS)
def test_a_stream_that_unpacks_to_too_much_is_refused(kind, monkeypatch):
    monkeypatch.setattr(stream, "MAX_BYTES", 1 << 20)
    reader = ByteStream(compression.unpack(kind, HeldBytes(compressed(kind, bytes(8 << 20))), 0))
    with pytest.raises(ValueError, match="more than 1 MiB"):
        reader.skip(8 << 20)


def test_an_lzop_file_that_states_too_much_is_refused_before_it_is_unpacked(monkeypatch):
    monkeypatch.setattr(compression, "MAX_BYTES", 1 << 20)
    monkeypatch.setattr(compression, "run", lambda *_, **__: pytest.fail("lzop was started"))
    with pytest.raises(ValueError, match="unpacks to too much"):
        unpacked(Compression.LZO, compressed(Compression.LZO, bytes(8 << 20)), 0)


def test_no_compression_is_seen_in_text():
    assert compression.identify(HeldBytes(b"#!/bin/sh"), 0) is None
