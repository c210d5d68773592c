"""The disks of the boot check: finished targets, read-only, each under a throw-away overlay that takes every write."""

from pathlib import Path

from hyper2kvm.disk.finished import TargetDisk, target_options
from hyper2kvm.disk.nodes import overlay_options
from hyper2kvm.disk.overlay import create_overlay

_LOSABLE = {"no-flush": True}
"""Nothing of an overlay is needed after a crash: the guest's flushes are not passed on."""


def throw_away(disk: TargetDisk, overlay: Path) -> dict[str, object]:
    """Make a fresh overlay on a finished disk; QEMU's options of the two together."""
    create_overlay(overlay, disk.capacity)
    made = overlay_options(str(overlay), target_options(disk))
    file = made["file"]
    if isinstance(file, dict):
        made |= {"cache": _LOSABLE, "file": file | {"cache": _LOSABLE}}
    return made
