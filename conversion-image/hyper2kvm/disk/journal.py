"""Journal: what of a disk has reached its target, in a file that is only appended to.

A record is written after the bytes that it speaks of, so that after `kill -9` all of them hold: the kernel has both. A
power cut may keep a record and lose its bytes; therefore a barrier tells from time to time how many records are known
to be on stable storage with their bytes, and when the machine has been started anew since, only those count.

A record has 80 bytes, little-endian: kind (1), zeros (3), number (8), digest (32), stored sizes (16 x 2), CRC-32 of all
that (4). The first record that is cut or does not match its CRC ends the journal.
"""

import hashlib
import os
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from hyper2kvm.disk.chunks import PIECES, Sizes
from hyper2kvm.workspace import host_errors

_RECORD = struct.Struct(f"<B3xQ32s{PIECES}H")
_CRC = struct.Struct("<I")
_SIZE = _RECORD.size + _CRC.size
_BATCH = 4096
"""Records that are read at once."""
_NOTHING = bytes(32)
_NO_SIZES = (0,) * PIECES
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Changes with every start of the kernel (random(4))."""


class _Kind(IntEnum):
    START = 1
    """number: the target file's inode; digest: what is copied where."""
    BOOT = 2
    """digest: which start of the machine the records after this one are of."""
    PREPARED = 3
    """digest: the map of data outside of which the target was made to read as zeros."""
    CLAIM = 4
    """number: a chunk; digest: of its content; sizes: how its pieces are stored. In the order of the disk."""
    FORGOTTEN = 5
    """number: a chunk that was claimed and is not what it should be."""
    MENDED = 6
    """number: a forgotten chunk that was written again."""
    BARRIER = 7
    """number: records from the first that are on stable storage, with what they speak of."""
    RETREAT = 8
    """The storage failed to take what was written: only what the last barrier covers counts."""


@dataclass(frozen=True)
class Claim:
    """A chunk that has been written.

    Attributes:
        index: which.
        digest: SHA-256 of its content; zeros when none was taken.
        sizes: how its pieces are stored.
    """

    index: int
    digest: bytes
    sizes: Sizes


class _Record(NamedTuple):
    kind: int
    number: int = 0
    digest: bytes = _NOTHING
    sizes: Sizes = _NO_SIZES

    def packed(self) -> bytes:
        body = _RECORD.pack(self.kind, self.number, self.digest, *self.sizes)
        return body + _CRC.pack(zlib.crc32(body))


class Journal:
    """One disk's journal, as a context manager. Its methods may be called from several threads.

    Every method raises HostError (WorkspaceFull, WorkspaceUnusable) when the file cannot be read or written.

    Attributes:
        next_index: the chunk after the last claim; every chunk before it is claimed or reads as zeros.
        forgotten: claimed chunks that must be written again.
        prepared: the map of data that the target was prepared for, or None.
    """

    def __init__(self, path: Path) -> None:
        """Open or make it, and drop what cannot be relied on."""
        self._path = path
        self._lock = threading.Lock()
        self._reset()
        with host_errors(path):
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                self._load()
            except BaseException:
                os.close(self._file)
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def length(self) -> int:
        """Records, for `barrier`."""
        with self._lock:
            return self._length

    def belongs(self, inputs: str, inode: int) -> bool:
        """Whether it is about these inputs (64 hexadecimal digits) and a target file with this inode."""
        return self._start == (bytes.fromhex(inputs), inode)

    def clear(self) -> None:
        """Forget everything, durably: the target is about to be made anew."""
        with self._lock, host_errors(self._path):
            os.ftruncate(self._file, 0)
            os.fdatasync(self._file)
            self._reset()

    def begin(self, inputs: str, inode: int) -> None:
        """Start on a new target; the journal must be empty."""
        self._append(_Record(_Kind.START, inode, bytes.fromhex(inputs)), _Record(_Kind.BOOT, digest=_boot()))

    def prepare(self, identity: bytes) -> None:
        """Record that the target reads as zeros outside of the map of data with this identity."""
        self._append(_Record(_Kind.PREPARED, digest=identity))

    def claim(self, claim: Claim) -> None:
        """Record that a chunk was written. Claims come in the order of the disk."""
        self._append(_Record(_Kind.CLAIM, claim.index, claim.digest, claim.sizes))

    def forget(self, indexes: Sequence[int]) -> None:
        """Record, durably, that chunks of a sealed target, all on stable storage, are not what was claimed."""
        self._append(*(_Record(_Kind.FORGOTTEN, index) for index in indexes), durable=True, covered=True)

    def mend(self, index: int) -> None:
        """Record that a forgotten chunk was written again."""
        self._append(_Record(_Kind.MENDED, index))

    def barrier(self, length: int) -> None:
        """Record, durably, that the first `length` records and what they speak of are on stable storage."""
        self._append(_Record(_Kind.BARRIER, length), durable=True)

    def retreat(self) -> None:
        """Record that only what the last barrier covers can be relied on, when the journal is opened next."""
        self._append(_Record(_Kind.RETREAT), durable=True)

    def claims(self) -> Iterator[Claim]:
        """All claims in the order of the disk, read from the file as they are asked for."""
        for record in self._records(self.length):
            if record.kind == _Kind.CLAIM:
                yield Claim(record.number, record.digest, record.sizes)

    def close(self) -> None:
        """Close the file. What other threads record from then on is dropped."""
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
            self._file = -1

    def _append(self, *records: _Record, durable: bool = False, covered: bool = False) -> None:
        """Write records at once; where they are to be covered, with a barrier behind them."""
        with self._lock, host_errors(self._path):
            if self._file < 0:
                return
            if covered:
                records = (*records, _Record(_Kind.BARRIER, self._length + len(records)))
            left = b"".join(record.packed() for record in records)
            while left:
                left = left[os.write(self._file, left) :]
            if durable:
                os.fdatasync(self._file)
            for record in records:
                self._apply(record)

    def _load(self) -> None:
        """Find what can be relied on, cut the file there, and take it in."""
        boot, durable, retreat, length = None, 0, False, 0
        for record in self._records():
            length += 1
            if record.kind == _Kind.BOOT:
                boot = record.digest
            elif record.kind == _Kind.BARRIER:
                durable = record.number
            elif record.kind == _Kind.RETREAT:
                retreat = True
        relied = durable if retreat or boot != _boot() else length
        os.ftruncate(self._file, relied * _SIZE)
        for record in self._records(relied):
            self._apply(record)
        if 0 < relied < length:
            self._append(_Record(_Kind.BOOT, digest=_boot()), _Record(_Kind.BARRIER, relied), durable=True)

    def _records(self, length: int | None = None) -> Iterator[_Record]:
        """The records from the first to the `length`th, or to the first that is not whole."""
        at, end = 0, os.fstat(self._file).st_size if length is None else length * _SIZE
        while at < end:
            block = os.pread(self._file, min(_BATCH * _SIZE, end - at), at)
            for start in range(0, len(block) - _SIZE + 1, _SIZE):
                body = block[start : start + _RECORD.size]
                if _CRC.unpack_from(block, start + _RECORD.size)[0] != zlib.crc32(body):
                    return
                kind, number, digest, *sizes = _RECORD.unpack(body)
                yield _Record(kind, number, digest, tuple(sizes))
            if len(block) < _SIZE:
                return
            at += len(block) - len(block) % _SIZE

    def _reset(self) -> None:
        self._length = 0
        self._start: tuple[bytes, int] | None = None
        self.next_index = 0
        self.forgotten: set[int] = set()
        self.prepared: bytes | None = None

    def _apply(self, record: _Record) -> None:
        self._length += 1
        if record.kind == _Kind.START:
            self._start = record.digest, record.number
        elif record.kind == _Kind.PREPARED:
            self.prepared = record.digest
        elif record.kind == _Kind.CLAIM:
            self.next_index = record.number + 1
        elif record.kind == _Kind.FORGOTTEN:
            self.forgotten.add(record.number)
        elif record.kind == _Kind.MENDED:
            self.forgotten.discard(record.number)


def _boot() -> bytes:
    """32 bytes that tell this start of the machine from others."""
    return hashlib.sha256(_BOOT_ID.read_bytes()).digest()
