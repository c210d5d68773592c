"""Chunks and pieces: a disk is read, digested and recorded by the MiB, and its empty parts are found by 64 KiB."""

from collections.abc import Iterator
from itertools import groupby
from typing import TypeAlias

CHUNK = 1 << 20
"""Bytes of a chunk; a disk's last chunk may be shorter."""

PIECE = 1 << 16
"""Bytes of a piece; a disk's last piece may be shorter."""

PIECES = CHUNK // PIECE
"""Pieces of a chunk."""

EMPTY = 0
"""Stored size of a piece that reads as zeros, or that lies beyond the disk's end: it is not stored."""

PLAIN = 0xFFFF
"""Stored size of a piece that is stored as it is. Any size between EMPTY and PLAIN is that of a compressed piece."""

Sizes: TypeAlias = tuple[int, ...]
"""The stored sizes of a chunk's pieces, PIECES of them."""

_ZEROS = bytes(PIECE)


def chunk_count(capacity: int) -> int:
    """Chunks of a disk of `capacity` bytes."""
    return -(-capacity // CHUNK)


def chunk_length(index: int, capacity: int) -> int:
    """Bytes of a chunk."""
    return min(CHUNK, capacity - index * CHUNK)


def content(data: bytes) -> Sizes:
    """Which pieces of a chunk hold something other than zeros: EMPTY or PLAIN for each."""
    return tuple(EMPTY if _is_empty(data, at) else PLAIN for at in range(0, CHUNK, PIECE))


def stored_runs(sizes: Sizes) -> Iterator[tuple[int, int]]:
    """The runs of pieces in a chunk that are not empty: bytes from, bytes to (which may lie beyond the disk's end)."""
    at = 0
    for stored, run in groupby(sizes, key=bool):
        end = at + PIECE * sum(1 for _ in run)
        if stored:
            yield at, end
        at = end


def _is_empty(data: bytes, at: int) -> bool:
    return data.startswith(_ZEROS[: max(0, len(data) - at)], at) or at >= len(data)
