"""Extents: which chunks of a disk have to be read."""

import hashlib
from array import array
from collections.abc import Iterable, Iterator

from hyper2kvm.disk.chunks import CHUNK, chunk_count


class DataMap:
    """The chunks of a disk in which there may be data; all others read as zeros.

    Held as ranges, eight bytes each, so that a disk of many TiB takes a few MiB at worst.
    """

    def __init__(self, capacity: int, data: Iterable[tuple[int, int]]) -> None:
        """`data` are the ranges that may hold something (offset and length in bytes), in ascending order."""
        self._capacity = capacity
        self._edges = array("I")
        for offset, length in data:
            self._add(offset // CHUNK, -(-(offset + length) // CHUNK))

    def indexes(self, start: int = 0) -> Iterator[int]:
        """Chunks with data, ascending, from chunk `start`."""
        for first, end in self._ranges():
            yield from range(max(first, start), end)

    def holes(self) -> Iterator[tuple[int, int]]:
        """Ranges between them: offset and length in bytes."""
        at = 0
        for first, end in (*self._ranges(), (chunk_count(self._capacity),) * 2):
            if first > at:
                yield at * CHUNK, min(first * CHUNK, self._capacity) - at * CHUNK
            at = end

    def size(self, start: int = 0) -> int:
        """Bytes in chunks with data, from chunk `start`."""
        kept = ((max(first, start), end) for first, end in self._ranges())
        return sum(min(end * CHUNK, self._capacity) - first * CHUNK for first, end in kept if first < end)

    def identity(self) -> bytes:
        """32 bytes that are equal for equal maps."""
        return hashlib.sha256(self._edges.tobytes()).digest()

    def _ranges(self) -> Iterator[tuple[int, int]]:
        for at in range(0, len(self._edges), 2):
            yield self._edges[at], self._edges[at + 1]

    def _add(self, first: int, end: int) -> None:
        if self._edges and first <= self._edges[-1]:
            self._edges[-1] = max(self._edges[-1], end)
        else:
            self._edges.extend((first, end))
