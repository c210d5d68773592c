"""Verification: a finished target is read back and compared with what was recorded while it was written."""

import hashlib
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hyper2kvm.disk.chunks import CHUNK, chunk_length
from hyper2kvm.disk.connection import Connection
from hyper2kvm.disk.digest import disk_digest
from hyper2kvm.disk.extents import DataMap
from hyper2kvm.disk.finished import TargetDisk, target_options
from hyper2kvm.disk.journal import Journal
from hyper2kvm.disk.server import NbdServer
from hyper2kvm.stages.work import Work
from hyper2kvm_api.errors import HostError, ValidationError
from hyper2kvm_api.reasons import Reason

_THREADS = 4


def verify_disk(work: Work, target: TargetDisk, digest: str) -> None:
    """Read a finished target and compare it, chunk by chunk, with the digests taken when it was copied.

    Holes of a file are known to read as zeros and are not read; nor is what lies between the data on a block device,
    which was made to read as zeros. What differs is forgotten in the journal: the next run copies it again.

    Args:
        work: the run.
        target: the target as it stands.
        digest: the digest that the disk must have (disk/digest.py).

    Raises:
        ValidationError: ContentMismatch.
        HostError: a program is missing or failed.
    """
    with (
        Journal(work.workspace.journal(target.id)) as journal,
        tempfile.TemporaryDirectory(prefix="h2k-") as folder,
        NbdServer(
            _options(target),
            Path(folder) / "target.sock",
            writable=False,
            log=work.workspace.scratch / f"{work.workspace.overlay(target.id).stem}.target.log",
        ) as server,
    ):
        if disk_digest(journal.claims(), target.capacity) != digest:
            journal.clear()
            raise _mismatch(target, "the journal of its copy is not the one that it was written with")
        wrong = _Comparison(work, target, journal, server.uri).differences()
        if not wrong:
            return
        if all(claimed for _, claimed in wrong):
            journal.forget([index for index, _ in wrong])
        else:  # something stands where nothing was written: the target is made anew
            journal.clear()
    raise _mismatch(target, f"{len(wrong)} MiB differ from what was written, the first at MiB {wrong[0][0]}")


class _Comparison:
    def __init__(self, work: Work, target: TargetDisk, journal: Journal, uri: str) -> None:
        self._work = work
        self._target = target
        self._journal = journal
        self._uri = uri
        self._lock = threading.Lock()

    def differences(self) -> list[tuple[int, bool]]:
        """Chunks that are not as they should be, and whether they were written at all."""
        expected = self._expected()
        with ThreadPoolExecutor(_THREADS) as pool:
            found = [pool.submit(self._compare, expected) for _ in range(_THREADS)]
            return sorted(difference for each in found for difference in each.result())

    def _compare(self, expected: Iterator[tuple[int, bytes | None]]) -> list[tuple[int, bool]]:
        different = []
        try:
            with Connection(self._uri) as connection:
                while not self._work.stop.is_set():
                    with self._lock:
                        index, digest = next(expected, (None, None))
                    if index is None:
                        break
                    data = connection.read(index * CHUNK, chunk_length(index, self._target.capacity))
                    same = hashlib.sha256(data).digest() == digest if digest else not any(data)
                    if not same:
                        different.append((index, digest is not None))
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
        with Connection(self._uri) as connection:
            ranges = DataMap(self._target.capacity, connection.data())
        return ranges.indexes()


def _options(target: TargetDisk) -> dict[str, object]:
    options = target_options(target)
    # A block device may be larger than the disk.
    return options | {"size": target.capacity} if target.path.is_block_device() else options


def _mismatch(target: TargetDisk, message: str) -> ValidationError:
    return ValidationError(Reason.CONTENT_MISMATCH, f"disk {target.id}: {target.path}: {message}", disk=target.id)
