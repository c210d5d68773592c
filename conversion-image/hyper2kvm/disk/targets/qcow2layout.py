"""Where things lie in a qcow2 image of ours, and its tables. Pure; streams, so that memory does not grow with the disk.

An image is: the header's cluster, the data in the order of the disk, L2 tables, the L1 table, refcount blocks, the
refcount table. The format: QEMU's docs/interop/qcow2. All numbers are big-endian.

A chunk's compressed pieces come first, one right after the other from where the chunk before it ended, then, from the
next cluster on, its plain ones: so the data only grows, and no cluster between two others is without use.
"""

import struct
import sys
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice, repeat

from hyper2kvm.disk.chunks import EMPTY, PIECE, PIECES, PLAIN, Sizes
from hyper2kvm.disk.journal import Claim

CLUSTER = PIECE
"""Bytes of a cluster: a piece of a chunk is a cluster of the guest."""

_CLUSTER_BITS = 16
_SECTOR = 512
_HEADER = struct.Struct(">4sIQIIQIIQQIIQQQQIIB7x")
_MAGIC = b"QFI\xfb"
_END_OF_EXTENSIONS = bytes(8)
_COMPRESSION_TYPE = 1 << 3
"""Incompatible feature bit: the header's compression type is not zlib."""
_ZSTD = 1
_REFCOUNT_ORDER = 4
"""Reference counts have 16 bits."""
_SOLE = 1 << 63
"""Of L1 and L2 entries: the cluster's reference count is exactly one."""
_COMPRESSED = 1 << 62
_SECTORS_SHIFT = 62 - (_CLUSTER_BITS - 8)
"""Bits of a compressed cluster's offset; above them stand the sectors that it takes beyond its first."""
_L2_CHUNKS = CLUSTER // 8 // PIECES
"""Chunks that one L2 table describes."""
_COUNTS = CLUSTER // 2
"""Reference counts in a block."""
_POINTERS = CLUSTER // 8
"""Entries of the refcount table in a cluster."""


@dataclass(frozen=True)
class Placed:
    """A chunk that is not empty, and the offset in the file at which it starts."""

    index: int
    start: int
    sizes: Sizes

    @property
    def plain(self) -> int:
        """Offset of its first plain piece."""
        return aligned(self.start + compressed_size(self.sizes))

    @property
    def end(self) -> int:
        """Offset of the first byte after it."""
        plains = self.sizes.count(PLAIN)
        return self.plain + plains * CLUSTER if plains else self.start + compressed_size(self.sizes)


def aligned(offset: int) -> int:
    """The first cluster boundary at or after an offset."""
    return -(-offset // CLUSTER) * CLUSTER


def compressed_size(sizes: Sizes) -> int:
    """Bytes of a chunk's compressed pieces."""
    return sum(size for size in sizes if size != PLAIN)


def placed(claims: Iterable[Claim]) -> Iterator[Placed]:
    """The chunks that are not empty, with their places."""
    end = CLUSTER
    for claim in claims:
        if any(claim.sizes):
            chunk = Placed(claim.index, end, claim.sizes)
            yield chunk
            end = chunk.end


def l2_tables(chunks: Iterable[Placed]) -> Iterator[tuple[int, bytes]]:
    """The L2 tables that are not empty: number in the L1 table, content of a cluster."""
    for number, group in groupby(chunks, key=lambda chunk: chunk.index // _L2_CHUNKS):
        table = array("Q", bytes(CLUSTER))
        for chunk in group:
            at = chunk.index % _L2_CHUNKS * PIECES
            table[at : at + PIECES] = array("Q", _l2_entries(chunk))
        yield number, _big_endian(table)


def l1_entries(capacity: int) -> int:
    """Entries of the L1 table of a disk of `capacity` bytes."""
    return -(-capacity // (CLUSTER * CLUSTER // 8))


def l1_table(capacity: int, tables: dict[int, int]) -> bytes:
    """The L1 table, in whole clusters, from the offsets of L2 tables."""
    entries = array("Q", bytes(aligned(8 * l1_entries(capacity))))
    for number, offset in tables.items():
        entries[number] = _SOLE | offset
    return _big_endian(entries)


@dataclass(frozen=True)
class Refcounts:
    """Where the reference counts lie. They count their own clusters, too.

    Attributes:
        start: offset of the first block; the table follows the last.
        blocks: clusters of counts.
        table: clusters of the table.
    """

    start: int
    blocks: int
    table: int

    @property
    def end(self) -> int:
        """Size of the whole file."""
        return self.start + (self.blocks + self.table) * CLUSTER

    @property
    def table_start(self) -> int:
        """Offset of the table."""
        return self.start + self.blocks * CLUSTER

    def table_content(self) -> bytes:
        """The table, in whole clusters."""
        entries = array("Q", bytes(self.table * CLUSTER))
        entries[: self.blocks] = array("Q", range(self.start, self.table_start, CLUSTER))
        return _big_endian(entries)

    def block_contents(self, chunks: Iterable[Placed], data_end: int) -> Iterator[bytes]:
        """The blocks in order. `data_end` is the offset of the first cluster after the data."""
        counts = self._counts(chunks, data_end)
        for _ in range(self.blocks):
            block = array("H", islice(counts, _COUNTS))
            block.extend(repeat(0, _COUNTS - len(block)))
            yield _big_endian(block)

    def _counts(self, chunks: Iterable[Placed], data_end: int) -> Iterator[int]:
        yield 1
        yield from _data_counts(chunks)
        yield from repeat(1, (self.end - data_end) // CLUSTER)


def refcounts(start: int) -> Refcounts:
    """Room for the counts of everything before `start` and of themselves."""
    before = start // CLUSTER
    blocks, table = 0, 0
    while True:
        needed = -(-(before + blocks + table) // _COUNTS), -(-max(blocks, 1) // _POINTERS)
        if needed == (blocks, table):
            return Refcounts(start, blocks, table)
        blocks, table = needed


def header(capacity: int, l1_offset: int, counts: Refcounts, *, zstd: bool) -> bytes:
    """The header, with the end of its extensions."""
    return (
        _HEADER.pack(
            _MAGIC,
            3,  # version
            0,  # no backing file
            0,
            _CLUSTER_BITS,
            capacity,
            0,  # not encrypted
            l1_entries(capacity),
            l1_offset,
            counts.table_start,
            counts.table,
            0,  # no snapshots
            0,
            _COMPRESSION_TYPE if zstd else 0,
            0,  # no compatible features
            0,  # no autoclear features
            _REFCOUNT_ORDER,
            _HEADER.size,
            _ZSTD if zstd else 0,
        )
        + _END_OF_EXTENSIONS
    )


def _l2_entries(chunk: Placed) -> Iterator[int]:
    compressed, plain = chunk.start, chunk.plain
    for size in chunk.sizes:
        if size == EMPTY:
            yield 0
        elif size == PLAIN:
            yield _SOLE | plain
            plain += CLUSTER
        else:
            more = (compressed + size - 1) // _SECTOR - compressed // _SECTOR
            yield _COMPRESSED | more << _SECTORS_SHIFT | compressed
            compressed += size


def _data_counts(chunks: Iterable[Placed]) -> Iterator[int]:
    """How often each cluster of the data is referred to, in order: compressed pieces may share one, or span two."""
    cluster, count = 1, 0
    for chunk in chunks:
        for touched in _touched(chunk):
            if touched != cluster:
                yield count
                cluster, count = touched, 0
            count += 1
    if count:
        yield count


def _touched(chunk: Placed) -> Iterator[int]:
    """The clusters that a chunk's pieces lie in, piece by piece."""
    at = chunk.start
    for size in chunk.sizes:
        if size not in {EMPTY, PLAIN}:
            yield from range(at // CLUSTER, (at + size - 1) // CLUSTER + 1)
            at += size
    yield from range(chunk.plain // CLUSTER, chunk.plain // CLUSTER + chunk.sizes.count(PLAIN))


def _big_endian(entries: "array[int]") -> bytes:
    if sys.byteorder == "little":
        entries.byteswap()
    return entries.tobytes()
