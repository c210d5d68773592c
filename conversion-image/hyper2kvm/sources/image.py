"""A single disk image: a virtual machine of which nothing but the disk is known."""

from pathlib import Path

from hyper2kvm.disk.graph import capacity_and_name, source_files
from hyper2kvm.sources.description import Fetched, FileRegion, SourceDisk
from hyper2kvm.sources.folder import fetched_files
from hyper2kvm.sources.limits import within_limits
from hyper2kvm.sources.place import disk_id
from hyper2kvm_api.machine import Cpu, DiskBus, Machine, MachineDisk, Nic
from hyper2kvm_api.migration import ImageFormat

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

    def fetch(self) -> Fetched:
        """See Source."""
        with within_limits(self._path.name):
            return self._fetch(self._path.absolute())

    def _fetch(self, path: Path) -> Fetched:
        source = SourceDisk(
            id=disk_id(DiskBus.SCSI, 0, 0),
            format=self._format,
            region=FileRegion(path=str(path), length=path.stat().st_size),
            siblings=str(path.parent),
        )
        facts = capacity_and_name(source)
        disk = MachineDisk(
            id=source.id,
            bus=DiskBus.SCSI,
            controller=0,
            unit=0,
            capacity=facts.capacity,
            format=self._format,
            file=path.name,
            wwn=facts.wwn,
        )
        machine = Machine(name=path.stem, cpu=_CPUS, memory=_MEMORY, disks=(disk,), nics=(Nic(id="nic0"),))
        return Fetched(machine=machine, disks=(source,), files=fetched_files(source_files(source)))
