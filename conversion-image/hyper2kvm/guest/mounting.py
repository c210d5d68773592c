"""Which file systems a guest mounts at its start, by its own /etc/fstab and by what systemd adds to it."""

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hyper2kvm.guest.description import BlockDevice
from hyper2kvm.guest.devices import DeviceNames
from hyper2kvm.guest.firmware import ESP, ESP_FOLDERS, EXTENDED_BOOT
from hyper2kvm.guest.linux.fstab import FstabEntry

MAX_MOUNTS = 128

NEEDED = frozenset({"/", "/usr", "/boot", "/boot/efi", "/efi", "/var"})
"""Folders without which a guest does not start, or cannot be repaired."""

_FILE_SYSTEMS = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "vfat", "f2fs", "jfs", "reiserfs"})
_BTRFS_TOP = frozenset({0, 5})
"""Ids of a btrfs' top level (btrfs-subvolume(8))."""

_DEVICE = re.compile(r"/dev/|(UUID|LABEL|PARTUUID|PARTLABEL)=")
_BOUND = frozenset({"bind", "rbind"})
_DISCOVERED: Sequence[tuple[str, Sequence[str]]] = ((EXTENDED_BOOT, ("/boot",)), (ESP, ESP_FOLDERS))
"""Partitions that systemd mounts without an entry (systemd-gpt-auto-generator(8)): GPT type, folders to choose from."""


@dataclass(frozen=True)
class Wanted:
    """A file system that the guest mounts.

    Attributes:
        path: where.
        spec: what fstab calls it.
        device: what it is on; None when no device of the guest is meant.
        subvolume: path of the btrfs subvolume that is asked for.
        subvolume_id: its id, where it is asked for by id.
        optional: whether the guest starts without it (`nofail`, `noauto`).
    """

    path: str
    spec: str
    device: BlockDevice | None
    subvolume: str | None = None
    subvolume_id: int | None = None
    optional: bool = False

    @property
    def needed(self) -> bool:
        """Whether going on without it makes no sense."""
        return self.path in NEEDED and not self.optional


def by_fstab(entries: Sequence[FstabEntry], names: DeviceNames, mapped: Mapping[str, BlockDevice]) -> list[Wanted]:
    """What fstab's live entries mount from devices at the start, those above first; the root is left out.

    What the boot loader reads counts even where the guest mounts it only when it writes there (`noauto`, often with
    `x-systemd.automount`).

    Args:
        entries: fstab's entries.
        names: the guest's devices.
        mapped: devices by the names that only the guest's own configuration gives them.
    """
    found: dict[str, Wanted] = {}
    for entry in entries[:MAX_MOUNTS]:
        path = normal(entry.path)
        later = "noauto" in entry.options
        if path == "/" or path in found or not _mounts_device(entry) or (later and path not in ESP_FOLDERS):
            continue
        device = mapped.get(entry.spec) or names.find(entry.spec)
        found[path] = Wanted(
            path=path,
            spec=entry.spec,
            device=device,
            subvolume=option(entry, "subvol"),
            subvolume_id=_number(option(entry, "subvolid")),
            optional=later or "nofail" in entry.options,
        )
    return sorted(found.values(), key=lambda wanted: wanted.path.count("/"))


def discovered(
    devices: Sequence[BlockDevice], boot_disk: str, taken: Sequence[str], empty: Callable[[str], bool]
) -> Iterator[Wanted]:
    """What systemd mounts without an entry in fstab: the boot disk's ESP and its extended boot loader partition.

    Args:
        devices: the guest's devices.
        boot_disk: id of the disk that the firmware starts.
        taken: the folders that fstab mounts something on.
        empty: whether a path is a folder without content.
    """
    mounted = set(taken)
    for part_type, folders in _DISCOVERED:
        device = next((each for each in devices if each.disk == boot_disk and each.part_type == part_type), None)
        folder = next((each for each in folders if each not in mounted and empty(each)), None)
        if device is None or folder is None or (part_type == ESP and not mounted.isdisjoint(ESP_FOLDERS[:2])):
            continue
        mounted.add(folder)
        yield Wanted(path=folder, spec=device.device, device=device, optional=True)


def mountable(wanted: Wanted, device: BlockDevice, subvolumes: Callable[[], Mapping[int, str]]) -> str:
    """What the appliance mounts for it: the device, or a btrfs subvolume as `btrfsvol:<device>/<subvolume>`.

    Args:
        wanted: the file system.
        device: what it is on.
        subvolumes: the btrfs' subvolumes by id, asked for only when it matters.
    """
    name = wanted.subvolume
    if device.type != "btrfs":
        return device.device
    if name is None and wanted.subvolume_id is not None and wanted.subvolume_id not in _BTRFS_TOP:
        name = subvolumes().get(wanted.subvolume_id)
    inside = normal(name or "")
    return device.device if inside == "/" else f"btrfsvol:{device.device}{inside}"


def normal(path: str) -> str:
    """The path from the root, without `.`, `..`, or more slashes than it needs."""
    return posixpath.normpath(f"/{path.lstrip('/')}")


def option(entry: FstabEntry, name: str) -> str | None:
    """The value of an entry's option, such as `subvol`."""
    return next((value.partition("=")[2] for value in entry.options if value.startswith(f"{name}=")), None)


def _mounts_device(entry: FstabEntry) -> bool:
    return (
        entry.path.startswith("/")
        and _DEVICE.match(entry.spec) is not None
        and (entry.type in _FILE_SYSTEMS or entry.type == "auto")
        and _BOUND.isdisjoint(entry.options)
        and not entry.spec.startswith(("/dev/sr", "/dev/fd", "/dev/cdrom"))
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 20 else None
