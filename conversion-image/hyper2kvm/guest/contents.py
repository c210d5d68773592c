"""What a machine's disks hold, before any of it is mounted."""

from collections.abc import Mapping
from dataclasses import dataclass

from hyper2kvm.guest import encryption, firmware
from hyper2kvm.guest.description import BlockDevice
from hyper2kvm.guest.devices import DeviceNames
from hyper2kvm.guest.encryption import Keys, Unlocked
from hyper2kvm.guest.handle import Handle, appliance_failed, guarded
from hyper2kvm_api.machine import Firmware, Machine

BOOT_SECTORS = 64 * 512
"""Bytes that are read from the start of each disk: the boot record and what boot loaders put behind it."""


@dataclass(frozen=True)
class Contents:
    """What the disks of a machine hold.

    Attributes:
        machine: its hardware.
        keys: the keys that were tried on encrypted devices.
        unlocked: the devices, and which of them are locked.
        names: what the guest calls them.
        boot_sectors: the first bytes of each disk by its id.
        firmware: what the disks are made for.
    """

    machine: Machine
    keys: Keys
    unlocked: Unlocked
    names: DeviceNames
    boot_sectors: Mapping[str, bytes]
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
        sectors = {disk: handle.pread_device(name, BOOT_SECTORS, 0) for name, disk in zip(names, disks, strict=True)}
    return Contents(
        machine=machine,
        keys=keys,
        unlocked=unlocked,
        names=DeviceNames(machine, unlocked.devices),
        boot_sectors=sectors,
        firmware=firmware.detect(machine.firmware, unlocked.devices),
    )
