"""What becomes of the device names in a guest's configuration when the disks move to another controller."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hyper2kvm.guest.description import BlockDevice
from hyper2kvm.guest.devices import DeviceNames, device_of, disk_name
from hyper2kvm.guest.fixer import Situation
from hyper2kvm_api.options import TargetBus
from hyper2kvm_api.plan import PlannedDisk

LINKS: Mapping[str, str] = {
    "UUID": "/dev/disk/by-uuid/",
    "PARTUUID": "/dev/disk/by-partuuid/",
    "LABEL": "/dev/disk/by-label/",
    "PARTLABEL": "/dev/disk/by-partlabel/",
}
"""Folders of udev's links by the tag that fstab uses."""

BY_ID: Mapping[TargetBus, str] = {
    TargetBus.VIRTIO: "/dev/disk/by-id/virtio-{}",
    TargetBus.SCSI: "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_{}",
    TargetBus.SATA: "/dev/disk/by-id/ata-QEMU_HARDDISK_{}",
}
"""What udev's 60-persistent-storage.rules calls a disk of QEMU with a serial number."""

_KERNEL_PREFIX: Mapping[TargetBus, str] = {TargetBus.VIRTIO: "vd", TargetBus.SCSI: "sd", TargetBus.SATA: "sd"}
_ESCAPED = re.compile(r"[^A-Za-z0-9#+\-.:=@_\x80-\U0010ffff]")
"""What links of udev hold as hexadecimal numbers: all but these characters, and those of several bytes (blkid(8), option
`-o udev`, ID_FS_LABEL_ENC)."""


@dataclass(frozen=True)
class StableName:
    """A name that does not depend on the controller.

    Attributes:
        spec: as fstab takes it: `UUID=…`, or a path below /dev/disk/by-id.
        new_name: what the kernel will call the device, for people; None when that cannot be told.
    """

    spec: str
    new_name: str | None = None

    @property
    def path(self) -> str:
        """The name as a path, for what takes no tags."""
        tag, equals, value = self.spec.partition("=")
        if not equals or tag not in LINKS:
            return self.spec
        return LINKS[tag] + _ESCAPED.sub(lambda match: f"\\x{ord(match[0]):02x}", value)

    def reason(self, old: str) -> str:
        """Why `old` is replaced."""
        kind = self.spec.partition("=")[0] if not self.spec.startswith("/") else "serial number"
        if self.new_name is None or self.new_name == old:
            return f"{old} depends on the disk's controller, which changes; the {kind} stays"
        return f"{old} is called {self.new_name} on the new controller; the {kind} does not change"


class DeviceRenaming:
    """Looks up device names of one guest."""

    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        self._names = DeviceNames(situation.machine, situation.guest.devices)
        self._new_links = tuple(BY_ID[disk.bus].format(disk.serial) for disk in situation.disks)

    def moves(self, name: str) -> bool:
        """Whether the name changes with the controller."""
        return self._names.moves(name) and not name.startswith(self._new_links)

    def stable(self, name: str) -> StableName | None:
        """The name to write instead, or None when the device is on none of the machine's disks."""
        device = self._names.find(name)
        return self._stable(device) if device else None

    def partition(self, name: str) -> StableName | None:
        """As `stable`, by what does not depend on the content.

        For partitions that are written anew at each boot, and for kernels that mount without an initramfs.
        """
        device = self._names.find(name)
        return self._partition(device) if device else None

    def root(self) -> StableName | None:
        """The root file system's own name, as INSPECT found it."""
        device = self._root()
        return self._stable(device) if device else None

    def root_partition(self) -> StableName | None:
        """As `root`, by what does not depend on the content."""
        device = self._root()
        return self._partition(device) if device else None

    def disk(self, name: str) -> StableName | None:
        """A whole disk, or a partition of it, by the serial number that the target gives it."""
        device = self._names.find(name)
        return self._by_serial(device) if device else None

    def boot_disk(self) -> StableName | None:
        """The disk that the firmware starts, by the serial number that the target gives it."""
        planned = self._planned(self._situation.guest.boot_disk)
        return StableName(BY_ID[planned.bus].format(planned.serial)) if planned else None

    def new_name(self, device: BlockDevice) -> str | None:
        """What the kernel will call a disk or a partition of one; None when that cannot be told."""
        planned = self._planned(device.disk)
        if planned is None:
            return None
        prefix = _KERNEL_PREFIX[planned.bus]
        alike = [disk.id for disk in self._situation.disks if _KERNEL_PREFIX[disk.bus] == prefix]
        letters = disk_name(alike.index(planned.id)).removeprefix("/dev/sd")
        return f"/dev/{prefix}{letters}{device.partition or ''}"

    def _root(self) -> BlockDevice | None:
        guest = self._situation.guest
        return device_of(guest.root, guest.devices) if guest.root else None

    def _partition(self, device: BlockDevice) -> StableName | None:
        if device.part_uuid:
            return StableName(f"PARTUUID={device.part_uuid}", self.new_name(device))
        return self._by_serial(device)

    def _stable(self, device: BlockDevice) -> StableName | None:
        spec = self._names.stable(device)
        return StableName(spec, self.new_name(device)) if spec else self._by_serial(device)

    def _by_serial(self, device: BlockDevice) -> StableName | None:
        planned = self._planned(device.disk)
        if planned is None:
            return None
        part = "" if device.partition is None else f"-part{device.partition}"
        return StableName(BY_ID[planned.bus].format(planned.serial) + part, self.new_name(device))

    def _planned(self, disk: str | None) -> PlannedDisk | None:
        return next((each for each in self._situation.disks if each.id == disk), None)
