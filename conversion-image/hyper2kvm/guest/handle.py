"""The part of libguestfs' API (guestfs(3)) that is used, and what its errors become."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from hyper2kvm.run import scrub
from hyper2kvm_api.errors import HostError, Hyper2kvmError
from hyper2kvm_api.reasons import Reason

MESSAGE = 2 * 1024 * 1024
"""Bytes that one call carries; libguestfs' protocol ends at 4 MiB (guestfs-internals(1))."""

_PREFIX = re.compile(r"^\w+: ")


class Handle(Protocol):
    """A libguestfs handle whose appliance runs. Every call raises RuntimeError with libguestfs' words."""

    def is_ready(self) -> int:
        """1 while the appliance answers."""
        ...

    def list_devices(self) -> list[str]:
        """The disks, in the order in which they were added."""
        ...

    def list_partitions(self) -> list[str]:
        """The partitions of all disks."""
        ...

    def list_md_devices(self) -> list[str]:
        """The assembled Linux software RAIDs."""
        ...

    def md_detail(self, md: str) -> Mapping[str, str]:
        """What mdadm says of an array: `uuid`, `name` and more."""
        ...

    def list_dm_devices(self) -> list[str]:
        """The device-mapper devices, save logical volumes."""
        ...

    def lvs(self) -> list[str]:
        """The active logical volumes."""
        ...

    def vgs(self) -> list[str]:
        """The volume groups."""
        ...

    def vgpvuuids(self, vgname: str) -> list[str]:
        """UUIDs of a volume group's physical volumes."""
        ...

    def vguuid(self, vgname: str) -> str:
        """UUID of a volume group, with hyphens."""
        ...

    def lvuuid(self, device: str) -> str:
        """UUID of a logical volume, with hyphens."""
        ...

    def lvm_scan(self, activate: bool) -> None:  # noqa: FBT001 -- guestfs' own signature
        """Look for physical volumes again."""
        ...

    def part_to_dev(self, partition: str) -> str:
        """The disk that a partition is on."""
        ...

    def blkid(self, device: str) -> Mapping[str, str]:
        """The tags that the program blkid finds by probing (blkid(8), -p); an error when it finds nothing."""
        ...

    def blockdev_getsize64(self, device: str) -> int:
        """Size in bytes."""
        ...

    def pread_device(self, device: str, count: int, offset: int) -> bytes:
        """Bytes of a device; fewer at its end."""
        ...

    def cryptsetup_open(self, device: str, key: str, mapname: str) -> None:
        """Open a LUKS device as /dev/mapper/<mapname>."""
        ...

    def btrfs_subvolume_list(self, fs: str) -> Sequence[Mapping[str, object]]:
        """The subvolumes of a btrfs, with btrfssubvolume_id and btrfssubvolume_path."""
        ...

    def mount(self, mountable: str, mountpoint: str) -> None:
        """Mount for reading and writing."""
        ...

    def mount_ro(self, mountable: str, mountpoint: str) -> None:
        """Mount for reading."""
        ...

    def umount_all(self) -> None:
        """Unmount everything."""
        ...

    def statvfs(self, path: str) -> Mapping[str, int]:
        """Sizes of the file system at a path (statvfs(3))."""
        ...

    def fstrim(self, mountpoint: str) -> None:
        """Discard what a mounted file system does not use."""
        ...

    def sync(self) -> None:
        """Write everything to the disks (sync(2))."""
        ...

    def drop_caches(self, whattodrop: int) -> None:
        """Forget cached pages (proc(5), drop_caches)."""
        ...

    def dmesg(self) -> str:
        """The messages of the appliance's kernel."""
        ...

    def utsname(self) -> Mapping[str, str]:
        """The appliance's kernel, as uname(2) names it: uts_release and more."""
        ...

    def inspect_os(self) -> list[str]:
        """Root file systems of operating systems."""
        ...

    def inspect_get_type(self, root: str) -> str:
        """Such as `windows`."""
        ...

    def inspect_get_arch(self, root: str) -> str:
        """Such as `x86_64`."""
        ...

    def inspect_get_product_name(self, root: str) -> str:
        """What the system calls itself."""
        ...

    def lstatnslist(self, path: str, names: list[str]) -> Sequence[Mapping[str, int]]:
        """Attributes of names in a folder, links not followed; st_ino is -1 for what is not there."""
        ...

    def readlink(self, path: str) -> str:
        """Target of a link."""
        ...

    def ls0(self, dir: str, filenames: str) -> None:  # noqa: A002 -- guestfs' own signature
        """Write the names in a folder to a file of this machine, each with a NUL."""
        ...

    def pread(self, path: str, count: int, offset: int) -> bytes:
        """Bytes of a file; fewer at its end."""
        ...

    def pwrite(self, path: str, content: bytes, offset: int) -> int:
        """Write into a file; how many bytes were written."""
        ...

    def write(self, path: str, content: bytes) -> None:
        """Write a whole file in place."""
        ...

    def chmod(self, mode: int, path: str) -> None:
        """Set permission bits."""
        ...

    def mkdir_p(self, path: str) -> None:
        """Make a folder and those above it."""
        ...

    def rm(self, path: str) -> None:
        """Remove a file or link."""
        ...

    def rm_rf(self, path: str) -> None:
        """Remove a folder and what it holds."""
        ...

    def ln_s(self, target: str, linkname: str) -> None:
        """Make a symbolic link."""
        ...


@contextmanager
def guarded(handle: Handle, failed: Callable[[str], Hyper2kvmError]) -> Iterator[None]:
    """Around calls of the handle: what their errors become.

    Args:
        handle: the handle.
        failed: the error of a call that did not work, from libguestfs' words.

    Raises:
        HostError: ApplianceFailed, when the appliance has ended; else what `failed` makes.
    """
    try:
        yield
    except RuntimeError as error:
        if not handle.is_ready():
            raise HostError(Reason.APPLIANCE_FAILED, f"the appliance ended: {said(error)}") from error
        raise failed(said(error)) from error


def said(error: RuntimeError) -> str:
    """The words of libguestfs in one line, without the name of the call and without its advice about debugging."""
    text = scrub(str(error)).partition("\nTo see full error messages")[0]
    return " ".join(_PREFIX.sub("", text).split())[:1000]


def appliance_failed(words: str) -> HostError:
    """The error of a call that does not depend on the guest."""
    return HostError(Reason.APPLIANCE_FAILED, f"the appliance did not do what it was told: {words}")
