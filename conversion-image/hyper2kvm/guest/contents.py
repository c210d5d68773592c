"""What a machine's disks hold, before any of it is mounted."""

from collections.abc import Mapping
from dataclasses import dataclass

from hyper2kvm.guest import encryption, firmware
from hyper2kvm.guest.description import BlockDevice
from hyper2kvm.guest.devices import DeviceNames
from hyper2kvm.guest.encryption import Keys, Unlocked
from hyper2kvm.guest.firmware import BootRecord
from hyper2kvm.guest.handle import Handle, appliance_failed, guarded
from hyper2kvm_api.machine import Firmware, Machine


@dataclass(frozen=True)
class Contents:
    """What the disks of a machine hold.

    Attributes:
        machine: its hardware.
        keys: the keys that were tried on encrypted devices.
        unlocked: the devices, and which of them are locked.
        names: what the guest calls them.
        boot_records: how each disk begins, by its id.
        firmware: what the disks are made for.
    """

    machine: Machine
    keys: Keys
    unlocked: Unlocked
    names: DeviceNames
    boot_records: Mapping[str, BootRecord]
    firmware: Firmware

    @property
    def devices(self) -> tuple[BlockDevice, ...]:
        """Everything that was found, inside of unlocked devices too."""
        return self.unlocked.devices


def look(handle: Handle, machine: Machine, keys: Keys) -> Contents:
    """Find the devices on a machine's disks and unlock what is encrypted.

    Args:
        handle: an appliance with the disks in the machine's order.
        machine: the hardware.
        keys: what is tried on encrypted devices.

    Raises:
        HostError: ApplianceFailed.
    """
    disks = [disk.id for disk in machine.disks]
    unlocked = encryption.unlock(handle, disks, keys)
    with guarded(handle, appliance_failed):
        names = handle.list_devices()
        records = {disk: _boot_record(handle, name) for name, disk in zip(names, disks, strict=True)}
    return Contents(
        machine=machine,
        keys=keys,
        unlocked=unlocked,
        names=DeviceNames(machine, unlocked.devices),
        boot_records=records,
        firmware=firmware.detect(machine.firmware, unlocked.devices),
    )


def _boot_record(handle: Handle, disk: str) -> BootRecord:
    sector = handle.pread_device(disk, firmware.SECTOR, 0)
    active = firmware.active_partition(sector)
    inside = active is not None and active + firmware.SECTOR <= handle.blockdev_getsize64(disk)
    return BootRecord(sector, handle.pread_device(disk, firmware.SECTOR, active) if active and inside else b"")
