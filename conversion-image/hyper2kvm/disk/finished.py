"""Finished disks: what is kept of a copy, and how a target that was written is opened again, read-only."""

import stat
from dataclasses import dataclass
from pathlib import Path

from hyper2kvm_api.document import Document
from hyper2kvm_api.errors import TargetError
from hyper2kvm_api.options import DiskFormat, TargetBus
from hyper2kvm_api.reasons import Reason


class CopiedDisk(Document):
    """A disk that was copied whole. Its target still has its provisional name."""

    id: str
    target: str
    """Absolute path that the target will have in the end."""
    written: str
    """Absolute path where the copy stands now (the target itself for a block device)."""
    capacity: int
    """Virtual size in bytes."""
    data: int
    """Bytes that were copied; the rest reads as zeros."""
    stored: int
    """Bytes of storage that the target takes."""
    digest: str
    """Digest of the content, in the notation of disk/digest.py."""
    copied_now: int
    """Bytes that this run copied; an interrupted run had copied the rest."""
    inode: int | None = None
    """Inode of the file, by which it is known until it has its final name. None, which nothing is compared with, for a
    block device and in documents of earlier versions."""


@dataclass(frozen=True)
class TargetDisk:
    """A finished disk to start from.

    Attributes:
        id: the disk's id in the machine.
        path: absolute path of the file or block device.
        format: its format.
        capacity: virtual size in bytes.
        bus: what it hangs on in the target.
        serial: serial number that the guest sees.
    """

    id: str
    path: Path
    format: DiskFormat
    capacity: int
    bus: TargetBus
    serial: str


def target_options(disk: TargetDisk) -> dict[str, object]:
    """QEMU's options of a finished disk, read-only, with no file under it.

    Raises:
        TargetError: TargetUnwritable, when it is neither a plain file nor a block device.
    """
    node: dict[str, object] = {
        "driver": str(disk.format),
        "read-only": True,
        "file": {"driver": _driver(disk), "filename": str(disk.path), "read-only": True, "locking": "off"},
    }
    if disk.format is DiskFormat.QCOW2:
        node["backing"] = None
    return node


def _driver(disk: TargetDisk) -> str:
    try:
        mode = disk.path.stat().st_mode
    except OSError as error:
        raise TargetError(Reason.TARGET_UNWRITABLE, f"{disk.path}: {error.strerror}", disk=disk.id) from None
    if stat.S_ISBLK(mode):
        return "host_device"
    if stat.S_ISREG(mode):
        return "file"
    raise TargetError(Reason.TARGET_UNWRITABLE, f"{disk.path} is neither a plain file nor a block device", disk=disk.id)
