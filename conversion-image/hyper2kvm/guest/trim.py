"""Discards what a guest's file systems do not use, so that it is never copied."""

from dataclasses import dataclass

from hyper2kvm.guest.description import Guest, Mount
from hyper2kvm.guest.devices import device_of
from hyper2kvm.guest.handle import Handle, guarded
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.reasons import Reason

_TYPES = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs"})
"""File systems whose Linux drivers take the ioctl FITRIM. vfat's does not."""


@dataclass(frozen=True)
class Trimmed:
    """What was discarded.

    Attributes:
        size: bytes that the trimmed file systems have free; None when none was trimmed.
        notes: why others were not, a sentence each.
    """

    size: int | None
    notes: tuple[str, ...]


def trim(handle: Handle, guest: Guest) -> Trimmed:
    """Trim a guest's mounted file systems, each once. One that does not take it stays as it is."""
    by_device = {device_of(mount.device, guest.devices): mount for mount in reversed(guest.mounts)}
    sizes: list[int] = []
    notes: list[str] = []
    for mount in by_device.values():
        if mount.type not in _TYPES:
            continue
        try:
            sizes.append(_trim(handle, mount))
        except GuestError as error:
            notes.append(error.message)
    return Trimmed(sum(sizes) if sizes else None, tuple(notes))


def _trim(handle: Handle, mount: Mount) -> int:
    with guarded(handle, lambda words: _refused(mount, words)):
        handle.fstrim(mount.path)
        sizes = handle.statvfs(mount.path)
    return sizes["bfree"] * sizes["frsize"]


def _refused(mount: Mount, words: str) -> GuestError:
    return GuestError(Reason.EDIT_FAILED, f"{mount.path} ({mount.device}) was not trimmed: {words}", file=mount.path)
