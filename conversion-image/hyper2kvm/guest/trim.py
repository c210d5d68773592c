"""Discards what a guest's file systems do not use, so that it is never copied.

What of ext2, ext3 or ext4 has an error in its superblock is left out: its bitmaps may call free what a file uses, which
fsck would still find.
"""

from dataclasses import dataclass

from hyper2kvm.guest.description import Guest, Mount
from hyper2kvm.guest.devices import device_of
from hyper2kvm.guest.draft import Finding
from hyper2kvm.guest.handle import Handle, guarded
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.reasons import Reason

_TYPES = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs"})
"""File systems whose Linux drivers take the ioctl FITRIM. vfat's does not."""

_EXT = frozenset({"ext2", "ext3", "ext4"})
_STATE = 1024 + 0x3A
"""First byte of a superblock's s_state, of two (Linux, Documentation/filesystems/ext4/super.rst)."""

_ERRORS_DETECTED = 0x2


@dataclass(frozen=True)
class Trimmed:
    """What was discarded.

    Attributes:
        size: bytes that the trimmed file systems have free; None when none was trimmed.
        notes: why others were not, a sentence each.
        findings: what the user should know of those that were left out.
    """

    size: int | None
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def trim(handle: Handle, guest: Guest) -> Trimmed:
    """Trim a guest's mounted file systems, each once. One that does not take it stays as it is."""
    by_device = {device_of(mount.device, guest.devices): mount for mount in reversed(guest.mounts)}
    sizes: list[int] = []
    notes: list[str] = []
    findings: list[Finding] = []
    for mount in by_device.values():
        if mount.type not in _TYPES:
            continue
        try:
            if _has_errors(handle, mount):
                findings.append(_damaged(mount))
                continue
            sizes.append(_trim(handle, mount))
        except GuestError as error:
            notes.append(error.message)
    return Trimmed(sum(sizes) if sizes else None, tuple(notes), tuple(findings))


def _has_errors(handle: Handle, mount: Mount) -> bool:
    """Whether Linux has met an error in the file system, and no fsck since."""
    if mount.type not in _EXT:
        return False
    with guarded(handle, lambda words: _refused(mount, words)):
        state = handle.pread_device(mount.device, 2, _STATE)
    return bool(int.from_bytes(state, "little") & _ERRORS_DETECTED)


def _damaged(mount: Mount) -> Finding:
    return Finding(
        "FilesystemDamaged",
        f"{mount.path} ({mount.device}) has errors, as its superblock says: it was not trimmed, and is copied whole",
        "Run fsck on it in the guest, before the migration or at the next start: files in it may be damaged.",
    )


def _trim(handle: Handle, mount: Mount) -> int:
    with guarded(handle, lambda words: _refused(mount, words)):
        handle.fstrim(mount.path)
        sizes = handle.statvfs(mount.path)
    return sizes["bfree"] * sizes["frsize"]


def _refused(mount: Mount, words: str) -> GuestError:
    return GuestError(Reason.EDIT_FAILED, f"{mount.path} ({mount.device}) was not trimmed: {words}", file=mount.path)
