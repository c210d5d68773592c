"""CONVERT: one copy of every disk, from the graph over the source to its target, all disks side by side."""

from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, wait
from contextlib import ExitStack

from hyper2kvm.disk.copy import Copy, copy_disk
from hyper2kvm.disk.finished import CopiedDisk
from hyper2kvm.disk.location import Exports
from hyper2kvm.disk.nodes import FlatDisk, overlay_options
from hyper2kvm.disk.publish import stands
from hyper2kvm.disk.server import NbdServer
from hyper2kvm.sockets import socket_folder
from hyper2kvm.stages.documents import Converted, Fixed, Flattened
from hyper2kvm.stages.work import Work
from hyper2kvm.workers import StoppedError, workers
from hyper2kvm.workspace import digest

_THREADS = 8
"""Chunks that are copied at the same time, over all disks."""
_THREADS_A_DISK = 2
"""At least, however many disks there are."""
_DISKS = 4
"""Disks that are copied at the same time."""


def convert(work: Work, flattened: Flattened, fixed: Fixed) -> Converted:
    """Copy the disks to their targets, which keep their provisional names; continue what was interrupted.

    Raises:
        TargetError: a target exists, is too small, full or cannot be written; what was copied is kept.
        SourceError: the source cannot be read, or changed.
        HostError: a program is missing or failed, or the workspace is full.
    """
    with ExitStack() as serving:
        sockets = serving.enter_context(socket_folder(work.workspace.scratch))
        exports = serving.enter_context(work.source.opened())
        copies = []
        for number, disk in enumerate(flattened.disks):
            log = work.workspace.scratch / f"{work.workspace.overlay(disk.id).stem}.copy.log"
            content = _content(work, disk, fixed, exports)
            server = NbdServer(content, sockets / f"{number}.sock", writable=False, log=log)
            uri = serving.enter_context(server).uri
            copies.append(_copy(work, flattened, fixed, disk, uri))
        return Converted(disks=_together(work, copies))


def holds(converted: Converted) -> bool:
    """Whether every copied disk is still there; VALIDATE looks whether it is what was written."""
    return all(map(stands, converted.disks))


def _content(work: Work, disk: FlatDisk, fixed: Fixed, exports: Exports) -> dict[str, object]:
    """QEMU's options of what is copied: the graph, under the overlay that FIX wrote."""
    if not fixed.applied:
        return disk.node.options(exports)
    return overlay_options(str(work.workspace.overlay(disk.id)), disk.node.options(exports))


def _copy(work: Work, flattened: Flattened, fixed: Fixed, disk: FlatDisk, uri: str) -> Copy:
    planned = next(each for each in work.plan.disks if each.id == disk.id)
    overlays = [state for state in fixed.overlays if state.disk == disk.id]
    return Copy(
        disk=planned,
        capacity=disk.capacity,
        uri=uri,
        source=digest(flattened.source, disk, *overlays),
        journal=work.workspace.journal(disk.id),
        owner=work.plan.owner,
        threads=max(_THREADS_A_DISK, _THREADS // len(flattened.disks)),
    )


def _together(work: Work, copies: Sequence[Copy]) -> tuple[CopiedDisk, ...]:
    """Copy side by side. The first failure, and an interruption, end all copies; the journals keep what was done."""
    with workers(_DISKS, work.stop) as pool:
        copying = [pool.submit(copy_disk, copy, work.events, work.stop) for copy in copies]
        wait(copying, return_when=FIRST_EXCEPTION)
        if not all(each.done() and each.exception() is None for each in copying):
            work.stop.set()
    errors = [error for each in copying if not each.cancelled() and (error := each.exception()) is not None]
    for error in sorted(errors, key=lambda each: isinstance(each, StoppedError)):
        if isinstance(error, StoppedError):
            raise KeyboardInterrupt from error
        raise error
    return tuple(each.result() for each in copying)
