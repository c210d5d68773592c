"""Verification: a finished target is read back and compared with what was recorded while it was written."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hyper2kvm.disk.chunks import CHUNK, chunk_length
from hyper2kvm.disk.connection import Connection
from hyper2kvm.disk.digest import disk_digest
from hyper2kvm.disk.extents import DataMap
from hyper2kvm.disk.finished import TargetDisk, target_options
from hyper2kvm.disk.journal import Journal
from hyper2kvm.disk.server import NbdServer
from hyper2kvm.events import Events, Meter
from hyper2kvm.workers import check, workers
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason

_THREADS = 4


@dataclass(frozen=True)
class ReadBack:
    """A finished target to read.

    Attributes:
        target: the target as it stands.
        digest: the digest that the disk must have (disk/digest.py).
        data: bytes that were written to it, for the progress.
        journal: path of the journal of its copy.
        sockets: folder with a short path.
        log: file that takes the server's messages.
    """

    target: TargetDisk
    digest: str
    data: int
    journal: Path
    sockets: Path
    log: Path


@dataclass(frozen=True)
class Damage:
    """What of a target is not as it was written.

    Attributes:
        message: what was found.
        chunks: the chunks that a copy can mend; None when the target must be made anew.
    """

    message: str
    chunks: tuple[int, ...] | None = None


def find_damage(read: ReadBack, events: Events, stop: threading.Event) -> Damage | None:
    """Read a finished target and compare it, chunk by chunk, with the digests taken when it was copied.

    Holes of a file are known to read as zeros and are not read; nor is what lies between the data on a block device,
    which was made to read as zeros.

    Raises:
        HostError: a program is missing or failed.
        StoppedError: `stop` was set before all was read.
    """
    options = _options(read.target)
    server = NbdServer(options, read.sockets / "target.sock", writable=False, log=read.log)
    with Journal(read.journal) as journal, server:
        if disk_digest(journal.claims(), read.target.capacity) != read.digest:
            return Damage("the journal of its copy is not the one that it was written with")
        wrong = _Comparison(read, journal, server.uri, Meter(events, read.target.id, read.data), stop).differences()
    if not wrong:
        return None
    message = f"{len(wrong)} MiB differ from what was written, the first at MiB {wrong[0][0]}"
    # Where something stands that was never written, the target is made anew.
    mendable = all(claimed for _, claimed in wrong)
    return Damage(message, tuple(index for index, _ in wrong) if mendable else None)


def forget_damage(journal: Path, damage: Damage) -> None:
    """Have the next copy write again what is damaged. Raises HostError."""
    with Journal(journal) as opened:
        if damage.chunks is None:
            opened.clear()
        else:
            opened.forget(damage.chunks)


class _Comparison:
    def __init__(self, read: ReadBack, journal: Journal, uri: str, meter: Meter, stop: threading.Event) -> None:
        self._target = read.target
        self._journal = journal
        self._uri = uri
        self._meter = meter
        self._stop = stop
        self._lock = threading.Lock()

    def differences(self) -> list[tuple[int, bool]]:
        """Chunks that are not as they should be, and whether they were written at all."""
        expected = self._expected()
        with workers(_THREADS, self._stop, name=f"read back {self._target.id}") as pool:
            found = [pool.submit(self._compare, expected) for _ in range(_THREADS)]
            different = sorted(difference for each in found for difference in each.result())
        check(self._stop)
        return different

    def _compare(self, expected: Iterator[tuple[int, bytes | None]]) -> list[tuple[int, bool]]:
        different = []
        try:
            with Connection(self._uri) as connection:
                while not self._stop.is_set():
                    with self._lock:
                        index, digest = next(expected, (None, None))
                    if index is None:
                        break
                    data = connection.read(index * CHUNK, chunk_length(index, self._target.capacity))
                    same = hashlib.sha256(data).digest() == digest if digest else not any(data)
                    if not same:
                        different.append((index, digest is not None))
                    self._meter.add(len(data))
        except OSError as error:
            message = f"{self._target.path} cannot be read back: {error.strerror}"
            raise HostError(Reason.PROGRAM_FAILED, message, disk=self._target.id) from error
        return different

    def _expected(self) -> Iterator[tuple[int, bytes | None]]:
        """The chunks to read with their digests, in the order of the disk; None where nothing was written."""
        stored = self._stored()
        mark = next(stored, None)
        for claim in self._journal.claims():
            while mark is not None and mark < claim.index:
                yield mark, None
                mark = next(stored, None)
            if mark == claim.index:
                mark = next(stored, None)
            yield claim.index, claim.digest
        while mark is not None:
            yield mark, None
            mark = next(stored, None)

    def _stored(self) -> Iterator[int]:
        if self._target.path.is_block_device():
            return iter(())
        with Connection(self._uri, extents=True) as connection:
            ranges = DataMap(self._target.capacity, connection.data())
        return ranges.indexes()


def _options(target: TargetDisk) -> dict[str, object]:
    options = target_options(target)
    # A block device may be larger than the disk.
    return options | {"size": target.capacity} if target.path.is_block_device() else options
