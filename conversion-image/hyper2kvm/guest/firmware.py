"""Which firmware a guest's disks are made for, and which disk it starts. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hyper2kvm.guest.description import BlockDevice, Mount
from hyper2kvm.guest.devices import device_of
from hyper2kvm_api.machine import Firmware, Machine

ESP = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
"""GPT type of the EFI system partition (UEFI 2.10, section 5.3.3)."""

EXTENDED_BOOT = "bc13c2ff-59e6-4262-a352-b275fd6f7172"
"""GPT type of an extended boot loader partition (UAPI.1, Boot Loader Specification)."""

BIOS_BOOT = "21686148-6449-6e6f-744e-656564454649"
"""GPT type of the partition that GRUB's BIOS core stands in."""

ESP_FOLDERS = ("/boot/efi", "/efi", "/boot")
"""Where an EFI system partition is mounted, by custom."""

SECTOR = 512
"""Bytes of a boot record."""

_BOOT_CODE = 440
_PARTITIONS = range(446, 510, 16)
_ACTIVE = 0x80
_SIGNATURE = slice(510, 512)
_GRUB = b"GRUB"


@dataclass(frozen=True)
class BootRecord:
    """What BIOS starts a disk by.

    Attributes:
        sector: the disk's first sector; empty when there is none.
        active: the first sector of its active partition, which a plain master boot record starts; empty without one.
    """

    sector: bytes = b""
    active: bytes = b""

    @property
    def holds_grub(self) -> bool:
        """Whether GRUB's first stage is in the disk's first sector."""
        return _GRUB in self.sector[:SECTOR]

    @property
    def leads_to_grub(self) -> bool:
        """Whether GRUB's first stage is there, or in the active partition that code in the first sector starts."""
        return self.holds_grub or (self.has_code and _GRUB in self.active[:SECTOR])

    @property
    def has_code(self) -> bool:
        """Whether the first sector holds code, and not only a partition table."""
        return has_boot_record(self.sector) and any(self.sector[:_BOOT_CODE])


def detect(stated: Firmware | None, devices: Sequence[BlockDevice]) -> Firmware:
    """The firmware that the source states, else what the disks show.

    A GPT with an EFI system partition and none for GRUB's BIOS core is made for UEFI; whatever has both starts by
    either, and the old machine's firmware, unless stated, was BIOS.
    """
    if stated is not None:
        return stated
    types = {device.part_type for device in devices}
    return Firmware.UEFI if ESP in types and BIOS_BOOT not in types else Firmware.BIOS


def has_boot_record(sector: bytes) -> bool:
    """Whether a firmware may start a disk that begins so.

    BIOS demands the signature of a boot record; UEFI demands the same one of the protective record before a GPT, and
    of a FAT file system without partitions (UEFI 2.10, sections 5.2 and 13.3).
    """
    return sector[_SIGNATURE] == b"\x55\xaa"


def active_partition(sector: bytes) -> int | None:
    """First byte of the partition that a master boot record marks as active; None when there is none."""
    for at in _PARTITIONS if has_boot_record(sector) else ():
        start = int.from_bytes(sector[at + 8 : at + 12], "little")
        if sector[at] == _ACTIVE and start:
            return start * SECTOR
    return None


def esp_folder(mounts: Sequence[Mount]) -> str | None:
    """Where the EFI system partition is mounted, or None."""
    fat = {mount.path for mount in mounts if mount.type == "vfat"}
    return next((path for path in ESP_FOLDERS if path in fat), None)


def boot_disk(
    firmware: Firmware,
    machine: Machine,
    devices: Sequence[BlockDevice],
    mounts: Sequence[Mount],
    records: Mapping[str, BootRecord],
) -> str:
    """Id of the disk that the firmware starts: by ESP or boot sector; never by its name.

    Among several, the source's own boot order decides, then where the system is.

    Args:
        firmware: the guest's firmware.
        machine: its hardware.
        devices: what its disks hold.
        mounts: its file systems.
        records: how each disk begins, by its id.
    """
    system = [disk for path in ("/boot", "/") for disk in _disks_of(path, devices, mounts)]
    ordered = [disk.id for disk in machine.disks]
    begins = {disk: records.get(disk, BootRecord()) for disk in ordered}
    choices = (
        _esp_disks(devices, mounts) if firmware is Firmware.UEFI else [],
        _preferred([disk for disk in ordered if begins[disk].leads_to_grub], system),
        _preferred([disk for disk in ordered if begins[disk].has_code], system),
        system,
        ordered,
    )
    equals = next(each for each in choices if each)
    return min(equals, key=lambda disk: _rank(disk, machine.boot_order))


def _rank(disk: str, order: Sequence[str]) -> int:
    return order.index(disk) if disk in order else len(order)


def _esp_disks(devices: Sequence[BlockDevice], mounts: Sequence[Mount]) -> list[str]:
    partitions = [device for device in devices if device.disk and device.part_type in {ESP, "ef"}]
    mounted = {mount.device for mount in mounts}
    partitions.sort(key=lambda device: device.device not in mounted)
    return [device.disk for device in partitions if device.disk]


def _preferred(disks: Sequence[str], system: Sequence[str]) -> list[str]:
    return sorted(disks, key=lambda disk: disk not in system)


def _disks_of(path: str, devices: Sequence[BlockDevice], mounts: Sequence[Mount]) -> list[str]:
    mounted = [device_of(mount.device, devices) for mount in mounts if mount.path == path]
    return [device.disk for device in mounted if device and device.disk]
