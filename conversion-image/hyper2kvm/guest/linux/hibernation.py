"""Hibernated guests: their swap space holds the memory that they resume, and with it their view of every file system."""

from collections.abc import Iterator, Sequence

from hyper2kvm.guest.description import BlockDevice
from hyper2kvm.guest.files import GuestFiles
from hyper2kvm.guest.linux import fstab, reading

SIGNATURES = (b"S1SUSPEND", b"S2SUSPEND", b"ULSUSPEND", b"LINHIB0001")
"""What stands in place of mkswap's signature while an image is there (Linux, kernel/power/swap.c; uswsusp)."""

_TYPE = "swsuspend"
"""What blkid calls such a partition."""

_AT = 4096 - 10
"""Offset of the signature: the end of the first page."""


def find(files: GuestFiles, devices: Sequence[BlockDevice]) -> tuple[str, ...]:
    """The devices and swap files that hold such memory.

    Args:
        files: the guest's files, mounted as the guest mounts them.
        devices: what was found on its disks.
    """
    return (*(device.device for device in devices if device.type == _TYPE), *_swap_files(files))


def _swap_files(files: GuestFiles) -> Iterator[str]:
    if not reading.is_file(files, fstab.PATH):
        return
    for entry in fstab.parse(reading.text(files, fstab.PATH)):
        is_file = entry.type == "swap" and entry.spec.startswith("/") and reading.is_file(files, entry.spec)
        if is_file and files.part(entry.spec, _AT, 10).startswith(SIGNATURES):
            yield entry.spec
