"""The compressions that a kernel takes for its initramfs, unpacked piece by piece.

Source: Linux, lib/decompress*.c and usr/Kconfig. Each unpacker is given the image and where its part begins, yields
pieces of at most PIECE bytes (lz4: of its block size, 8 MiB) and returns where the part ends. Neither the image nor what
is unpacked is ever held whole.
"""

import bz2
import io
import lzma
import struct
import tempfile
import zlib
from collections.abc import Callable, Generator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import lz4.block
import zstandard

from hyper2kvm.guest.linux.bytesource import ByteSource
from hyper2kvm.guest.linux.stream import MAX_BYTES
from hyper2kvm.run import last_lines, run

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PIECE = 1 << 18
"""Bytes of a piece."""

ERRORS = (
    ValueError,
    EOFError,
    OSError,
    IndexError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zstandard.ZstdError,
    lz4.block.LZ4BlockError,
)
"""What damaged data raises while it is unpacked."""

Pieces = Generator[bytes, None, int]

_LZ4_BLOCK = 8 << 20
_LZ4_LARGEST = _LZ4_BLOCK + _LZ4_BLOCK // 255 + 16
"""Bytes of a block that cannot be compressed (lz4.h, LZ4_COMPRESSBOUND)."""
_LZ4_MAGIC = 0x184C2102
_MEMORY = 128 << 20
"""Bytes that unpacking may take: the largest window that a kernel takes (Linux, lib/decompress_unzstd.c)."""
_LZOP_SECONDS = 120.0


class Compression(StrEnum):
    """How a part of an initramfs is compressed; PLAIN is not."""

    PLAIN = "plain"
    GZIP = "gzip"
    XZ = "xz"
    ZSTD = "zstd"
    LZ4 = "lz4"
    LZMA = "lzma"
    BZIP2 = "bzip2"
    LZO = "lzo"


MAGIC: Mapping[bytes, Compression] = {
    b"0707": Compression.PLAIN,
    b"\x1f\x8b": Compression.GZIP,
    b"\xfd7zXZ\0": Compression.XZ,
    b"\x28\xb5\x2f\xfd": Compression.ZSTD,
    b"\x02\x21\x4c\x18": Compression.LZ4,
    b"\x5d\x00\x00": Compression.LZMA,
    b"BZh": Compression.BZIP2,
    b"\x89LZO\0\r\n\x1a\n": Compression.LZO,
}
"""First bytes of a part."""


def identify(image: ByteSource, start: int) -> Compression | None:
    """The compression of the part that begins at `start`, or None when it is none that a kernel knows."""
    head = image.read(start, max(map(len, MAGIC)))
    return next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), None)


def unpack(kind: Compression, image: ByteSource, start: int) -> Pieces:
    """The unpacked bytes of the part that begins at `start`; returns where it ends. Raises one of ERRORS."""
    return _UNPACKERS[kind](image, start)


class _Decompressor(Protocol):
    """What bz2 and lzma share."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def _plain(image: ByteSource, start: int) -> Pieces:
    for at in range(start, image.size, PIECE):
        yield image.read(at, PIECE)
    return image.size


def _gzip(image: ByteSource, start: int) -> Pieces:
    unpacker, at = zlib.decompressobj(wbits=31), start
    while not unpacker.eof:
        source = unpacker.unconsumed_tail
        if not source:
            source = image.read(at, PIECE)
            at += len(source)
        if not source:
            raise EOFError("the gzip data ends early")
        yield unpacker.decompress(source, PIECE)
    return at - len(unpacker.unused_data)


def _incremental(make: Callable[[], _Decompressor]) -> Callable[[ByteSource, int], Pieces]:
    def pieces(image: ByteSource, start: int) -> Pieces:
        unpacker, at = make(), start
        while not unpacker.eof:
            source = b""
            if unpacker.needs_input:
                source = image.read(at, PIECE)
                at += len(source)
                if not source:
                    raise EOFError("the compressed data ends early")
            yield unpacker.decompress(source, PIECE)
        return at - len(unpacker.unused_data)

    return pieces


class _Frame(io.RawIOBase):
    """A file to read a zstd frame from."""

    def __init__(self, image: ByteSource, start: int, end: int) -> None:
        self._image = image
        self._at, self._end = start, end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        room = memoryview(buffer)
        piece = self._image.read(self._at, min(len(room), self._end - self._at))
        room[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def _zstd(image: ByteSource, start: int) -> Pieces:
    end = _zstd_end(image, start)
    frame = io.BufferedReader(_Frame(image, start, end), PIECE)
    reader = zstandard.ZstdDecompressor(max_window_size=_MEMORY).stream_reader(frame)
    while piece := reader.read(PIECE):
        yield piece
    return end


def _zstd_end(image: ByteSource, start: int) -> int:
    """Where a frame ends (RFC 8878, section 3.1.1): the reader itself reads ahead and does not tell."""
    (descriptor,) = _fields(">B", image, start + 4)
    single = bool(descriptor & 0x20)
    at = start + 5 + (0 if single else 1) + (0, 1, 2, 4)[descriptor & 3] + (int(single), 2, 4, 8)[descriptor >> 6]
    last = False
    while not last:
        block = int.from_bytes(image.read(at, 3), "little")
        last, is_run, size = bool(block & 1), (block >> 1) & 3 == 1, block >> 3
        at += 3 + (1 if is_run else size)
        if at > image.size:
            raise EOFError("the zstd data ends early")
    return at + (4 if descriptor & 4 else 0)


def _lz4(image: ByteSource, start: int) -> Pieces:
    """lz4's legacy frame has no end mark: it goes on until something follows that is no block."""
    at = start
    while at + 4 <= image.size:
        (size,) = _fields("<I", image, at)
        if size == _LZ4_MAGIC:
            at += 4
            continue
        if size == 0 or size > _LZ4_LARGEST or at + 4 + size > image.size:
            break
        yield lz4.block.decompress(image.read(at + 4, size), uncompressed_size=_LZ4_BLOCK)
        at += 4 + size
    return at


def _lzo(image: ByteSource, start: int) -> Pieces:
    end = _lzop_end(image, start)
    with tempfile.TemporaryDirectory(prefix="hyper2kvm-") as folder:
        packed, plain = Path(folder, "initramfs.lzo"), Path(folder, "initramfs")
        with packed.open("wb") as file:
            for at in range(start, end, PIECE):
                file.write(image.read(at, min(PIECE, end - at)))
        ended = run(["lzop", "-d", "-o", str(plain), str(packed)], deadline=_LZOP_SECONDS, check=False)
        if ended.code != 0:
            raise ValueError(f"lzop: {last_lines(ended.stderr)}")
        with plain.open("rb") as unpacked:
            while piece := unpacked.read(PIECE):
                yield piece
    return end


def _lzop_end(image: ByteSource, start: int) -> int:
    """Where an lzop file ends (lzop 1.04, lzop.c): its blocks state their sizes, which bounds what they unpack to."""
    version, _, _, _, _, flags = _fields(">HHHBBI", image, start + 9)
    at = start + 9 + 12 + (4 if flags & 0x800 else 0) + 12
    (name,) = _fields(">B", image, at)
    at += 1 + name + 4
    if version < 0x0940 or flags & 0x40:
        raise ValueError("an lzop header of a form that no kernel build makes")
    total = 0
    while True:
        (plain,) = _fields(">I", image, at)
        if plain == 0:
            return at + 4
        (packed,) = _fields(">I", image, at + 4)
        sums = bool(flags & 1) + bool(flags & 0x100)
        if packed < plain:
            sums += bool(flags & 2) + bool(flags & 0x200)
        at, total = at + 8 + 4 * sums + packed, total + plain
        if at > image.size or total > MAX_BYTES:
            raise ValueError("the lzop data ends early or unpacks to too much")


def _fields(form: str, image: ByteSource, at: int) -> tuple[int, ...]:
    """Numbers at a place, as struct(3) names their form. Raises struct.error at the image's end."""
    return struct.unpack(form, image.read(at, struct.calcsize(form)))


_UNPACKERS: Mapping[Compression, Callable[[ByteSource, int], Pieces]] = {
    Compression.PLAIN: _plain,
    Compression.GZIP: _gzip,
    Compression.XZ: _incremental(lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)),
    Compression.ZSTD: _zstd,
    Compression.LZ4: _lz4,
    Compression.LZMA: _incremental(lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_MEMORY)),
    Compression.BZIP2: _incremental(bz2.BZ2Decompressor),
    Compression.LZO: _lzo,
}


def lz4_legacy(content: bytes) -> bytes:
    """The content as lz4's legacy frame (lz4 documentation, lz4_Frame_format.md, section Legacy frame)."""
    parts = [struct.pack("<I", _LZ4_MAGIC)]
    for at in range(0, len(content), _LZ4_BLOCK):
        block: bytes = lz4.block.compress(content[at : at + _LZ4_BLOCK], store_size=False)
        parts += [struct.pack("<I", len(block)), block]
    return b"".join(parts)
