"""The disks of the boot check: finished targets, read-only, each under a throw-away overlay that takes every write."""

import stat
from dataclasses import dataclass
from pathlib import Path

from hyper2kvm.disk.nodes import overlay_options
from hyper2kvm.disk.overlay import create_overlay
from hyper2kvm_api.errors import TargetError
from hyper2kvm_api.options import DiskFormat, TargetBus
from hyper2kvm_api.reasons import Reason

_LOSABLE = {"no-flush": True}
"""Nothing of an overlay is needed after a crash: the guest's flushes are not passed on."""


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


def throw_away(disk: TargetDisk, overlay: Path) -> dict[str, object]:
    """Make a fresh overlay on a finished disk; QEMU's options of the two together."""
    create_overlay(overlay, disk.capacity)
    made = overlay_options(str(overlay), target_options(disk))
    file = made["file"]
    if isinstance(file, dict):
        made |= {"cache": _LOSABLE, "file": file | {"cache": _LOSABLE}}
    return made


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
