"""Copying a disk: threads read, digest and write its chunks side by side, and what is written is recorded.

A run that was interrupted, however it was, is continued by the same call: what the journal claims is not copied again.
"""

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from hyper2kvm.disk.chunks import CHUNK, chunk_length
from hyper2kvm.disk.connection import Connection
from hyper2kvm.disk.digest import disk_digest, identity_of
from hyper2kvm.disk.extents import DataMap
from hyper2kvm.disk.finished import CopiedDisk
from hyper2kvm.disk.journal import Claim, Journal
from hyper2kvm.disk.location import unreadable
from hyper2kvm.disk.order import Order, Ticket
from hyper2kvm.disk.targets.opening import open_target
from hyper2kvm.disk.targets.target import Packed, Target, target_error
from hyper2kvm.events import Events, Meter
from hyper2kvm.workers import check, workers
from hyper2kvm_api.errors import Hyper2kvmError, SourceError
from hyper2kvm_api.plan import PlannedDisk
from hyper2kvm_api.reasons import Reason

_BARRIER_SECONDS = 10.0
"""Seconds between barriers: what a power cut makes a run copy again."""
_WINDOW = 4
"""Chunks a thread that may be under way before the oldest of them is recorded."""
_ZERO_STEP = 256 << 20
"""Bytes of a block device that are made to read as zeros at once."""
_NO_DIGEST = bytes(32)


@dataclass(frozen=True)
class Copy:
    """One disk to copy.

    Attributes:
        disk: what to produce, and where.
        capacity: virtual size in bytes.
        uri: NBD server of the content.
        source: digest of everything that decides the content; another one starts the copy anew.
        journal: path of the disk's journal.
        owner: uid and gid of a new target file; as the process makes it when None.
        threads: how many chunks are read and written at the same time.
        digests: whether the content's digest is taken; it cannot be verified later without.
    """

    disk: PlannedDisk
    capacity: int
    uri: str
    source: str
    journal: Path
    owner: int | None = None
    threads: int = 8
    digests: bool = True


def copy_disk(copy: Copy, events: Events, stop: threading.Event) -> CopiedDisk:
    """Copy a disk to its target under the provisional name, or continue an earlier copy.

    Raises:
        TargetError: TargetExists, TargetTooSmall, TargetFull or TargetUnwritable.
        SourceError: SourceUnreadable or SourceChanged.
        HostError: the journal cannot be written.
        StoppedError: `stop` was set before the disk was complete.
    """
    try:
        with Journal(copy.journal) as journal, _connected(copy) as connection:
            with _reading(copy), Connection(copy.uri, extents=True) as looking:
                data = DataMap(copy.capacity, looking.data())
            target = open_target(copy.disk, copy.capacity, journal, copy.source, copy.owner)
            with closing(target.storage):
                return _Copying(copy, journal, target, data, events, stop).run(connection)
    except Hyper2kvmError as error:
        error.disk = copy.disk.id
        raise


@contextmanager
def _connected(copy: Copy) -> Iterator[Connection]:
    with _reading(copy):
        connection = Connection(copy.uri)
    with connection:
        if connection.size != copy.capacity:
            message = f"{connection.size} bytes of disk {copy.disk.id} are served, it had {copy.capacity} when it was examined"
            raise SourceError(Reason.SOURCE_CHANGED, message)
        yield connection


@contextmanager
def _reading(copy: Copy) -> Iterator[None]:
    """Around calls of the source's server, and nothing else."""
    try:
        yield
    except OSError as error:
        raise unreadable(f"disk {copy.disk.id}", error) from error


class _Chunk(NamedTuple):
    """A chunk that was read: its digest, the form in which it is stored, its length in bytes."""

    digest: bytes
    packed: Packed
    length: int


class _Copying:
    """A copy under way."""

    def __init__(
        self, copy: Copy, journal: Journal, target: Target, data: DataMap, events: Events, stop: threading.Event
    ) -> None:
        self._copy = copy
        self._journal = journal
        self._target = target
        self._data = data
        self._events = events
        self._stop = stop
        again = sum(chunk_length(index, copy.capacity) for index in journal.forgotten)
        self._now = self._left = data.size(journal.next_index) + again
        self._count = threading.Lock()
        total = data.size()
        self._meter = Meter(events, copy.disk.id, total, total - self._now)

    def run(self, connection: Connection) -> CopiedDisk:
        with self._writing():
            self._prepare()
        self._restore(connection)
        self._warn_of_space()
        self._copy_rest()
        storage = self._target.storage
        with self._writing():
            digest = self._seal()
            stored = storage.stored()
        return CopiedDisk(
            id=self._copy.disk.id,
            target=self._copy.disk.target,
            written=str(storage.path),
            capacity=self._copy.capacity,
            data=self._data.size(),
            stored=stored,
            digest=digest,
            copied_now=self._now,
            inode=None if storage.is_device else storage.inode,
        )

    def _prepare(self) -> None:
        """What lies between the data on a block device is unknown: it is made to read as zeros."""
        storage, identity = self._target.storage, self._data.identity()
        if not storage.is_device or self._journal.prepared == identity:
            return
        for offset, length in self._data.holes():
            for at in range(offset, offset + length, _ZERO_STEP):
                check(self._stop)
                storage.zero(at, min(_ZERO_STEP, offset + length - at))
        self._journal.prepare(identity)

    def _restore(self, connection: Connection) -> None:
        """Place what is there already, and write again what was found to be damaged."""
        for claim in self._journal.claims():
            position = self._target.place(claim.index, claim.sizes)
            if claim.index in self._journal.forgotten:
                check(self._stop)
                self._mend(connection, claim, position)

    def _mend(self, connection: Connection, claim: Claim, position: int) -> None:
        data = self._read(connection, claim.index)
        if claim.digest not in {_NO_DIGEST, hashlib.sha256(data).digest()}:
            raise SourceError(
                Reason.SOURCE_CHANGED, f"disk {self._copy.disk.id}: the MiB {claim.index} is not what was copied before"
            )
        with self._writing():
            self._target.write(position, self._target.pack(data), whole=True)
        self._journal.mend(claim.index)
        self._done(len(data))

    def _read(self, connection: Connection, index: int) -> bytes:
        with _reading(self._copy):
            return connection.read(index * CHUNK, chunk_length(index, self._copy.capacity))

    def _done(self, length: int) -> None:
        with self._count:
            self._left -= length
        self._meter.add(length)

    def _warn_of_space(self) -> None:
        with self._writing():
            free = self._target.storage.free()
        if free is not None and free < self._left:
            self._events.warn(
                "TargetMayFill",
                f"{self._left} bytes are to be copied, {free} bytes are free beside {self._copy.disk.target}",
                hint="Make space now, or when the copy stops: it goes on from there.",
                disk=self._copy.disk.id,
            )

    def _copy_rest(self) -> None:
        threads = self._copy.threads
        pending = self._data.indexes(self._journal.next_index)
        order = Order(pending, self._place, window=threads * _WINDOW, stop=self._stop)
        ended = threading.Event()
        with workers(threads + 1, self._stop, name=f"copy {self._copy.disk.id}") as pool:
            try:
                pool.submit(self._keep_barriers, order, ended)
                wait([pool.submit(self._work, order) for _ in range(threads)])
            finally:
                ended.set()
        order.check()

    def _work(self, order: Order[_Chunk]) -> None:
        try:
            with _connected(self._copy) as connection:
                while (ticket := order.take()) is not None:
                    self._copy_chunk(order, connection, ticket)
        except BaseException as error:  # noqa: BLE001 -- the thread that waits for this one raises it
            order.fail(error)

    def _copy_chunk(self, order: Order[_Chunk], connection: Connection, ticket: Ticket) -> None:
        data = self._read(connection, ticket.index)
        digest = hashlib.sha256(data).digest() if self._copy.digests else _NO_DIGEST
        for ready, chunk, position in order.arrive(ticket, _Chunk(digest, self._target.pack(data), len(data))):
            with self._writing():
                self._target.write(position, chunk.packed, whole=False)
            order.settle(ready, partial(self._journal.claim, Claim(ready.index, chunk.digest, chunk.packed.sizes)))
            self._done(chunk.length)

    def _place(self, index: int, chunk: _Chunk) -> int:
        return self._target.place(index, chunk.packed.sizes)

    def _keep_barriers(self, order: Order[_Chunk], ended: threading.Event) -> None:
        try:
            while not ended.wait(_BARRIER_SECONDS):
                with self._writing():
                    self._barrier()
        except BaseException as error:  # noqa: BLE001 -- as in _work
            order.fail(error)

    def _barrier(self) -> None:
        length = self._journal.length
        try:
            self._target.storage.sync()
        except OSError:
            # The kernel reports a failed write-back once and forgets it (fsync(2)): which bytes it lost is unknown.
            self._journal.retreat()
            raise
        self._journal.barrier(length)

    def _seal(self) -> str:
        digest = disk_digest(self._journal.claims(), self._copy.capacity)
        self._barrier()
        self._target.seal(self._journal.claims, identity_of(digest))
        return digest

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise target_error(error, self._target.storage, self._left) from error
