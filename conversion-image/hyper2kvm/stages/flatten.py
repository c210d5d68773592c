"""FLATTEN: one block graph a disk over the untouched source, which QEMU has opened once."""

import shutil
from pathlib import Path

from hyper2kvm.disk.graph import check_opens, flatten_disk, graph_holds
from hyper2kvm.disk.image import SourceDisk
from hyper2kvm.disk.location import Exports
from hyper2kvm.disk.nodes import FlatDisk
from hyper2kvm.sockets import socket_folder
from hyper2kvm.sources.description import Fetched
from hyper2kvm.stages.documents import Flattened
from hyper2kvm.stages.work import Work
from hyper2kvm.workspace import digest
from hyper2kvm_api.errors import Hyper2kvmError


def flatten(work: Work, fetched: Fetched) -> Flattened:
    """Build the block graph of each disk.

    Raises:
        ImageError: QEMU does not read an image as it was understood; the error names the disk.
        SourceError: the source cannot be opened.
        HostError: a program is missing or failed, or the workspace is full.
    """
    with socket_folder(work.workspace.scratch) as sockets, work.source.opened() as exports:
        disks = tuple(_flat(work, disk, sockets, exports) for disk in fetched.disks)
    return Flattened(source=digest(fetched), disks=disks)


def holds(flattened: Flattened) -> bool:
    """Whether every file that the graphs name is there."""
    return all(graph_holds(disk) for disk in flattened.disks)


def _flat(work: Work, disk: SourceDisk, sockets: Path, exports: Exports) -> FlatDisk:
    own = disk.id.replace(":", "-")
    folder = work.workspace.folder / "graph" / own
    shutil.rmtree(folder, ignore_errors=True)
    try:
        flat = flatten_disk(disk, folder)
        check_opens(flat, sockets, work.workspace.scratch / f"{own}.graph.log", exports)
    except Hyper2kvmError as error:
        error.disk = disk.id
        raise
    if len(flat.links) > 1:
        work.events.note(f"{len(flat.links)} links: the snapshots are read through", disk=disk.id)
    return flat
