"""Places of disks on their controllers."""

from hyper2kvm_api.machine import DiskBus


def disk_id(bus: DiskBus, controller: int, unit: int) -> str:
    """The id of a disk: `scsi0:1`."""
    return f"{bus.value}{controller}:{unit}"
