"""FLATTEN: extents, parents and snapshots verified, one block graph a disk, over the untouched source."""

import shutil

from hyper2kvm.disk.graph import flatten_disk
from hyper2kvm.sources.description import Fetched, SourceDisk
from hyper2kvm.stages.documents import FlatDisk, Flattened
from hyper2kvm.stages.work import Work
from hyper2kvm.workspace import digest
from hyper2kvm_api.errors import Hyper2kvmError, SourceError
from hyper2kvm_api.reasons import Reason


def flatten(work: Work, fetched: Fetched) -> Flattened:
    """Build the block graph of each disk.

    Raises:
        ImageError: an image is damaged, incomplete, unsafe or not supported; the error names the disk.
        SourceError: a file is missing or cannot be read, or a disk's size is not what the machine says.
    """
    sizes = {disk.id: disk.capacity for disk in fetched.machine.disks}
    disks = tuple(_flat(work, disk, sizes[disk.id]) for disk in fetched.disks)
    return Flattened(source=digest(fetched), disks=disks)


def _flat(work: Work, disk: SourceDisk, capacity: int) -> FlatDisk:
    scratch = work.workspace.folder / "graph" / disk.id.replace(":", "-")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        flat = flatten_disk(disk, scratch)
    except Hyper2kvmError as error:
        error.disk = disk.id
        raise
    if flat.capacity != capacity:
        raise SourceError(
            Reason.MACHINE_DESCRIPTION_INVALID,
            f"{disk.region.path} has {flat.capacity} bytes, the machine's description says {capacity}",
            disk=disk.id,
        )
    if len(flat.links) > 1:
        work.events.note(f"{len(flat.links)} links: the snapshots are read through", disk=disk.id)
    return flat
