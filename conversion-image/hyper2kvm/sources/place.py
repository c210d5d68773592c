"""Places of disks on their controllers, and the order that follows from them."""

from dataclasses import dataclass

from hyper2kvm.disk.image import SourceDisk
from hyper2kvm_api.machine import DiskBus, MachineDisk

_ORDER = (DiskBus.SCSI, DiskBus.SATA, DiskBus.IDE, DiskBus.NVME, DiskBus.VIRTIO)


@dataclass(frozen=True)
class Place:
    """Where a disk hangs.

    Attributes:
        bus: kind of its controller.
        controller: number of the controller among those of its kind.
        unit: unit on it.
    """

    bus: DiskBus
    controller: int
    unit: int

    @property
    def disk(self) -> str:
        """The id of the disk there: `scsi0:1`."""
        return f"{self.bus.value}{self.controller}:{self.unit}"

    @property
    def rank(self) -> tuple[int, int, int]:
        """Sorts disks as a guest's kernel numbers them: by bus, then controller, then unit."""
        return _ORDER.index(self.bus), self.controller, self.unit


def machine_disk(place: Place, source: SourceDisk, file: str) -> MachineDisk:
    """A disk of the machine, of the size that its image has. `file` is its file's name in the source."""
    return MachineDisk(
        id=source.id,
        bus=place.bus,
        controller=place.controller,
        unit=place.unit,
        capacity=source.capacity,
        format=source.format,
        file=file,
        wwn=source.wwn,
    )
