"""Digests of disks: a notation that depends on the content alone, and the comparison of a finished target with it.

`sha256-1MiB:<hex>` is the SHA-256, in hexadecimal, of the SHA-256 digests of the disk's chunks of 1 MiB one after the
other (32 bytes each; the last chunk may be shorter). Format, sparseness and the order of writing make no difference;
docs/reference/digests.md shows how to compute it without this program.
"""

import hashlib
from collections.abc import Iterable

from hyper2kvm.disk.chunks import CHUNK, chunk_count, chunk_length
from hyper2kvm.disk.journal import Claim

NOTATION = "sha256-1MiB"
"""Name of the notation, before the colon."""

_EMPTY_CHUNK = hashlib.sha256(bytes(CHUNK)).digest()
_BATCH = 4096
"""Digests that are added at once."""


def disk_digest(claims: Iterable[Claim], capacity: int) -> str:
    """The digest of a disk from those of its chunks; chunks without a claim read as zeros.

    Args:
        claims: in the order of the disk.
        capacity: size of the disk in bytes.
    """
    whole = _Chunks(capacity)
    for claim in claims:
        whole.add(claim.index, claim.digest)
    return f"{NOTATION}:{whole.end()}"


def identity_of(digest: str) -> bytes:
    """The 32 bytes of a digest."""
    return bytes.fromhex(digest.removeprefix(f"{NOTATION}:"))


class _Chunks:
    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._hash = hashlib.sha256()
        self._next = 0

    def add(self, index: int, digest: bytes) -> None:
        self._pass_to(index)
        self._hash.update(digest)
        self._next = index + 1

    def end(self) -> str:
        count = chunk_count(self._capacity)
        if self._next < count:
            self._pass_to(count - 1)
            self._hash.update(hashlib.sha256(bytes(chunk_length(count - 1, self._capacity))).digest())
        return self._hash.hexdigest()

    def _pass_to(self, index: int) -> None:
        """Take in the empty chunks before `index`."""
        while self._next < index:
            count = min(_BATCH, index - self._next)
            self._hash.update(_EMPTY_CHUNK * count)
            self._next += count
