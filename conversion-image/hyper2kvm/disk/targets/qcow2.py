"""qcow2 targets, with clusters of 64 KiB, compressed or not. The layout is qcow2layout.py's."""

import zlib
from collections.abc import Callable

import zstandard

from hyper2kvm.disk.chunks import PIECE, PLAIN, Sizes, content
from hyper2kvm.disk.targets import qcow2layout as layout
from hyper2kvm.disk.targets.qcow2layout import CLUSTER, Placed
from hyper2kvm.disk.targets.storage import Storage
from hyper2kvm.disk.targets.target import Claims, Packed
from hyper2kvm_api.options import Compression

_ZLIB_LEVEL = 6
_ZLIB_WINDOW = -12
"""Raw deflate (RFC 1951) with the window of 4 KiB that the format asks for."""
_ZSTD_LEVEL = 3


def _zlib(data: bytes) -> bytes:
    compressing = zlib.compressobj(_ZLIB_LEVEL, zlib.DEFLATED, _ZLIB_WINDOW)
    return compressing.compress(data) + compressing.flush()


def _zstd(data: bytes) -> bytes:
    # A compressor serves one thread at a time (zstandard's documentation, "Thread safety").
    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(data)


_COMPRESS: dict[Compression, Callable[[bytes], bytes]] = {Compression.ZLIB: _zlib, Compression.ZSTD: _zstd}

COMPRESSORS = {
    Compression.NONE: "",
    Compression.ZLIB: f"zlib {zlib.ZLIB_RUNTIME_VERSION}",
    Compression.ZSTD: f"zstd {'.'.join(map(str, zstandard.ZSTD_VERSION))}",
}
"""What compresses, by version: another one may give other bytes for the same content."""


class Qcow2Target:
    """A Target: a piece is a cluster, stored in the order of the disk."""

    def __init__(self, storage: Storage, capacity: int, compression: Compression) -> None:
        """`capacity` is in bytes, a multiple of 512."""
        self.storage = storage
        self._capacity = capacity
        self._zstd = compression is Compression.ZSTD
        self._compress = _COMPRESS.get(compression)
        self._end = CLUSTER

    def pack(self, data: bytes) -> Packed:
        """The compressed pieces one after the other, then the plain ones."""
        sizes = content(data)
        if self._compress is None:
            return Packed(sizes, _kept(data, sizes))
        compressed: list[bytes] = []
        plain: list[bytes] = []
        packed: list[int] = []
        for number, size in enumerate(sizes):
            if not size:
                packed.append(size)
                continue
            piece = data[number * PIECE : (number + 1) * PIECE].ljust(PIECE, b"\0")
            made = self._compress(piece)
            fits = len(made) < PLAIN
            (compressed if fits else plain).append(made if fits else piece)
            packed.append(len(made) if fits else PLAIN)
        return Packed(tuple(packed), b"".join([*compressed, *plain]))

    def place(self, index: int, sizes: Sizes) -> int:
        """After the chunk before."""
        chunk = Placed(index, self._end, sizes)
        self._end = chunk.end
        return chunk.start

    def write(self, position: int, packed: Packed, *, whole: bool) -> None:  # noqa: ARG002 -- empty pieces have no place
        """Write the pieces."""
        view = memoryview(packed.payload)
        compressed = layout.compressed_size(packed.sizes)
        self.storage.write(position, view[:compressed])
        self.storage.write(layout.aligned(position + compressed), view[compressed:])

    def seal(self, claims: Claims, identity: bytes) -> None:  # noqa: ARG002 -- an image has no identity of its own
        """Write the tables, then the header: until then the file is not an image."""
        data_end = layout.aligned(self._end)
        at = data_end
        tables: dict[int, int] = {}
        for number, table in layout.l2_tables(layout.placed(claims())):
            self.storage.write(at, table)
            tables[number] = at
            at += CLUSTER
        l1_offset = at
        l1_table = layout.l1_table(self._capacity, tables)
        self.storage.write(l1_offset, l1_table)
        counts = layout.refcounts(l1_offset + len(l1_table))
        at = counts.start
        for block in counts.block_contents(layout.placed(claims()), data_end):
            self.storage.write(at, block)
            at += CLUSTER
        self.storage.write(counts.table_start, counts.table_content())
        self.storage.resize(counts.end)
        self.storage.sync()
        self.storage.write(0, layout.header(self._capacity, l1_offset, counts, zstd=self._zstd))
        self.storage.sync()


def _kept(data: bytes, sizes: Sizes) -> bytes:
    """The plain pieces of a chunk, one after the other."""
    if all(sizes):
        return data
    return b"".join(data[number * PIECE : (number + 1) * PIECE] for number, size in enumerate(sizes) if size)
