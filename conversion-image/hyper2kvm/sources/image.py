"""A single disk image: a virtual machine of which nothing but the disk is known."""

import threading
from pathlib import Path

from hyper2kvm.disk.image import examine_disk
from hyper2kvm.disk.location import beside
from hyper2kvm.events import Events
from hyper2kvm.sources.description import Fetched
from hyper2kvm.sources.folder import parts_of
from hyper2kvm.sources.limits import within_limits
from hyper2kvm.sources.place import Place, machine_disk
from hyper2kvm_api.machine import Cpu, DiskBus, Machine, Nic
from hyper2kvm_api.migration import ImageFormat
from hyper2kvm_api.reasons import Reason

EXTENSIONS = {
    ".vmdk": ImageFormat.VMDK,
    ".qcow2": ImageFormat.QCOW2,
    ".raw": ImageFormat.RAW,
    ".img": ImageFormat.RAW,
    ".vhd": ImageFormat.VHD,
    ".vpc": ImageFormat.VHD,
    ".vhdx": ImageFormat.VHDX,
    ".vdi": ImageFormat.VDI,
}
"""Format by the file's extension, in lower case."""

_CPUS = Cpu(sockets=1, cores=2)
_MEMORY = 2 * 1024**3


class DiskImage:
    """A machine with two CPUs, 2 GiB of memory, one network adapter and the disk; spec.machine says otherwise."""

    def __init__(self, path: Path, format_: ImageFormat) -> None:
        """`path` is the image, or the descriptor of one with extents in files of their own."""
        self._path = path
        self._format = format_

    def fetch(self, events: Events, stop: threading.Event) -> Fetched:  # noqa: ARG002 -- it takes no time
        """See Source."""
        with within_limits(self._path.name):
            return self._fetch(self._path.absolute())

    def _fetch(self, path: Path) -> Fetched:
        place = Place(DiskBus.SCSI, 0, 0)
        folder = str(path.parent)
        region = beside(folder, path.name, Reason.EXTENT_MISSING, "the image")
        source = examine_disk(place.disk, self._format, region, siblings=folder)
        disk = machine_disk(place, source, path.name)
        machine = Machine(name=path.stem, cpu=_CPUS, memory=_MEMORY, disks=(disk,), nics=(Nic(id="nic0"),))
        return Fetched(machine=machine, disks=(source,), parts=parts_of(source.files))
