"""DeviceNames: which device a guest means by a name, and which name it can keep when its disks move."""

import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence

from hyper2kvm.guest import hardwarenames
from hyper2kvm.guest.description import BlockDevice
from hyper2kvm_api.machine import Machine

_IDS: Mapping[str, Callable[[BlockDevice], str | None]] = {
    "UUID": lambda device: device.uuid,
    "PARTUUID": lambda device: device.part_uuid,
    "LABEL": lambda device: device.label,
    "PARTLABEL": lambda device: device.part_label,
}
"""Ids by fstab's tags (mount(8)), the most stable first."""

_TAG = re.compile(r"(UUID|PARTUUID|LABEL|PARTLABEL)=(.+)", re.DOTALL)
_LINK = re.compile(r"/dev/disk/by-(uuid|partuuid|label|partlabel)/(.+)", re.DOTALL)
_MAPPED = re.compile(r"(?:/dev/mapper/|/dev/disk/by-id/dm-name-)(.+)", re.DOTALL)

_BY_UUID: Mapping[re.Pattern[str], Callable[[BlockDevice], str | None]] = {
    re.compile(r"/dev/disk/by-id/dm-uuid-LVM-(?P<id>[0-9A-Za-z]{64})"): lambda device: device.volume_uuid,
    re.compile(r"/dev/disk/by-id/dm-uuid-CRYPT-LUKS[12]-(?P<id>[0-9a-f]{32})-.+", re.DOTALL): lambda device: (
        device.luks_uuid.replace("-", "") if device.luks_uuid else None
    ),
    re.compile(r"/dev/disk/by-id/md-uuid-(?P<id>[0-9a-f:]+)(?:-part(?P<part>\d+))?"): lambda device: device.raid_uuid,
    re.compile(r"/dev/disk/by-id/md-name-(?P<id>.+?)(?:-part(?P<part>\d+))?"): lambda device: device.raid_name,
}
"""Links by what device-mapper and mdadm know a device by (dm/13-dm-disk.rules of LVM2, 63-md-raid-arrays.rules of mdadm): the
group `id` is it, `part` is a partition's number. Ubuntu's installer writes them into fstab for everything that is no partition.
A LUKS device's link ends with the name that the guest's crypttab gives it."""

_ESCAPE = re.compile(r"(?:\\x[0-9a-f]{2})+")

_SPANS_DEVICES = frozenset({"btrfs"})
"""File systems that stand on several devices under one UUID, each of which mounts the whole."""


class DeviceNames:
    """The names of one guest's devices."""

    def __init__(self, machine: Machine, devices: Sequence[BlockDevice]) -> None:
        """`devices` are what INSPECT found on the machine's disks."""
        self._machine = machine
        self._devices = tuple(devices)

    def find(self, name: str) -> BlockDevice | None:
        """The device that a name means, in any form that fstab takes; None when it means none, or it cannot be told.

        A whole disk is found even when it holds only partitions.
        """
        tag = _TAG.fullmatch(name)
        if tag:
            return self._by_id(tag[1], tag[2].strip("\"'"))
        link = _LINK.fullmatch(name)
        if link:
            return self._by_id(link[1].upper(), _unescaped(link[2]))
        mapped = _MAPPED.fullmatch(name)
        if mapped:
            wanted = _unescaped(mapped[1])
            return self._first(lambda device: _mapper_name(device.device) == wanted)
        for form, read in _BY_UUID.items():
            linked = form.fullmatch(name)
            if linked:
                return self._linked(linked, read)
        return self._by_hardware(name) if self.moves(name) else self._first(lambda device: device.device == name)

    def stable(self, device: BlockDevice) -> str | None:
        """The name to write instead of one that moves: UUID=, PARTUUID=, LABEL= or PARTLABEL=.

        An id that another device has too, as copies of a disk do, is no name. None when there is none.
        """
        named = ((tag, read(device)) for tag, read in _IDS.items())
        return next((f"{tag}={value}" for tag, value in named if value and self._alone(device, tag, value)), None)

    def moves(self, name: str) -> bool:
        """Whether a name of this form changes with the disk's controller."""
        return hardwarenames.read(name, self._machine) is not None

    def _linked(self, link: re.Match[str], read: Callable[[BlockDevice], str | None]) -> BlockDevice | None:
        whole = self._first(lambda device: read(device) == link["id"])
        part = link.groupdict().get("part")
        return self._first(lambda device: device.device == f"{whole.device}p{part}") if whole and part else whole

    def _by_id(self, tag: str, value: str) -> BlockDevice | None:
        return next(iter(self._with_id(tag, value)), None)

    def _with_id(self, tag: str, value: str) -> Iterator[BlockDevice]:
        # A FAT file system's UUID is written in capitals, others are not; labels are compared as they are.
        same = str.casefold if tag in {"UUID", "PARTUUID"} else str
        read = _IDS[tag]
        return (device for device in self._devices if same(read(device) or "") == same(value))

    def _alone(self, device: BlockDevice, tag: str, value: str) -> bool:
        others = [each for each in self._with_id(tag, value) if each.device != device.device]
        shares = tag == "UUID" and device.type in _SPANS_DEVICES
        return not others or (shares and all(each.type == device.type for each in others))

    def _first(self, matches: Callable[[BlockDevice], bool]) -> BlockDevice | None:
        return next((device for device in self._devices if matches(device)), None)

    def _by_hardware(self, name: str) -> BlockDevice | None:
        read = hardwarenames.read(name, self._machine)
        if read is None:
            return None
        on_disks = (self._on_disk(disk.id, read.partition) for disk in read.disks)
        found = [device for device in on_disks if device is not None]
        return found[0] if len(found) == 1 else None

    def _on_disk(self, disk: str, partition: int | None) -> BlockDevice | None:
        if partition is None:
            # Volumes on the disk have no number either.
            whole = self._whole(disk)
            return self._first(lambda device: device.device == whole.device) or whole
        return self._first(lambda device: device.disk == disk and device.partition == partition)

    def _whole(self, disk: str) -> BlockDevice:
        index, described = next((number, each) for number, each in enumerate(self._machine.disks) if each.id == disk)
        return BlockDevice(device=disk_name(index), disk=disk, type="unknown", size=described.capacity)


def disk_name(index: int) -> str:
    """What the appliance calls the machine's disk of that number, from 0: `/dev/sda`, …, `/dev/sdz`, `/dev/sdaa`."""
    letters = ""
    while index >= 0:
        letters = string.ascii_lowercase[index % 26] + letters
        index = index // 26 - 1
    return f"/dev/sd{letters}"


def device_of(mountable: str, devices: Sequence[BlockDevice]) -> BlockDevice | None:
    """The device that a mountable of the appliance is on: of `btrfsvol:/dev/sda2/@` it is `/dev/sda2`."""
    path = mountable.removeprefix("btrfsvol:") + "/"
    return next((each for each in devices if path.startswith(f"{each.device}/")), None)


def _mapper_name(device: str) -> str | None:
    """Name below /dev/mapper of a device-mapper device, as LVM makes it: hyphens are doubled, one separates."""
    if device.startswith("/dev/mapper/"):
        return device.removeprefix("/dev/mapper/")
    parts = device.removeprefix("/dev/").split("/")
    return "-".join(part.replace("-", "--") for part in parts) if len(parts) == 2 else None


def _unescaped(value: str) -> str:
    """A name with its bytes in place of the hexadecimal escapes that udev writes for blanks and such."""
    return _ESCAPE.sub(lambda match: bytes.fromhex(match[0].replace("\\x", "")).decode("utf-8", "replace"), value)
