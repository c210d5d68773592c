"""Root file systems: which of a guest's file systems hold an operating system, and which one is meant."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hyper2kvm.guest.appliance import Appliance
from hyper2kvm.guest.description import BlockDevice
from hyper2kvm.guest.devices import DeviceNames
from hyper2kvm.guest.handle import appliance_failed, guarded
from hyper2kvm.guest.linux import fstab, mdadm
from hyper2kvm.guest.mounting import Wanted, mountable, normal, option
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.reasons import Reason

RELEASE_FILES = ("/etc/os-release", "/usr/lib/os-release")
"""What shows an operating system (os-release(5))."""

_TYPES = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "jfs", "reiserfs"})
_MAX_SUBVOLUMES = 16
_MAX_DEPTH = 1
"""Slashes in the path of a btrfs subvolume that may be a root; snapshots are kept deeper."""


@dataclass(frozen=True)
class Root:
    """A file system with an operating system.

    Attributes:
        mountable: what the appliance mounts.
        device: the device that it is on.
        claimed: whether its own fstab says that it is the root.
    """

    mountable: str
    device: str
    claimed: bool


@dataclass(frozen=True)
class Found:
    """What was looked at.

    Attributes:
        roots: the root file systems.
        failures: why file systems could not be looked into.
    """

    roots: tuple[Root, ...]
    failures: tuple[GuestError, ...]


def find(appliance: Appliance, devices: Sequence[BlockDevice], names: DeviceNames) -> Found:
    """Mount every Linux file system alone, read-only, and look for an operating system. Nothing stays mounted."""
    roots: list[Root] = []
    failures: list[GuestError] = []
    for device in devices:
        if device.type not in _TYPES:
            continue
        try:
            roots += _roots_on(appliance, device, names)
        except GuestError as error:
            failures.append(error)
    appliance.unmount()
    return Found(tuple(roots), tuple(failures))


def choose(roots: Sequence[Root], wanted: str | None, names: DeviceNames) -> Root:
    """The root that is meant: the one that the user names, the only one, or the only one whose fstab says so.

    Args:
        roots: what was found, at least one.
        wanted: the user's choice, by a name of the appliance or of the guest.
        names: the guest's devices.

    Raises:
        GuestError: MultipleOperatingSystems, or NoOperatingSystem when there is none on the device that was named.
    """
    candidates = ", ".join(dict.fromkeys(root.device for root in roots))
    if wanted is not None:
        device = names.find(wanted)
        named = {wanted, device.device} if device else {wanted}
        roots = [root for root in roots if not named.isdisjoint({root.device, root.mountable})]
        if not roots:
            raise GuestError(
                Reason.NO_OPERATING_SYSTEM,
                f"spec.guest.root names {wanted}, which holds no operating system",
                hint=f"Name one of these devices in spec.guest.root: {candidates}.",
            )
    chosen = roots if len(roots) == 1 else [root for root in roots if root.claimed]
    if len(chosen) == 1:
        return chosen[0]
    raise GuestError(
        Reason.MULTIPLE_OPERATING_SYSTEMS,
        f"the disks hold {len(roots)} operating systems, on {candidates}",
        hint=f"Name one of these devices in spec.guest.root: {candidates}.",
    )


def subvolumes(appliance: Appliance, device: str) -> dict[int, str]:
    """The subvolumes of a btrfs, path by id."""
    with guarded(appliance.handle, appliance_failed):
        listed = appliance.handle.btrfs_subvolume_list(device)
    return {int(str(each["btrfssubvolume_id"])): str(each["btrfssubvolume_path"]) for each in listed}


def _roots_on(appliance: Appliance, device: BlockDevice, names: DeviceNames) -> Iterator[Root]:
    """The subvolume that a btrfs mounts by itself goes first: what boots is in it, unless it holds no system."""
    first = _root(appliance, device.device, device, names)
    if first is not None:
        yield first
        return
    for mounted in _btrfs_mountables(appliance, device):
        found = _root(appliance, mounted, device, names)
        if found is not None:
            yield found


def _btrfs_mountables(appliance: Appliance, device: BlockDevice) -> list[str]:
    if device.type != "btrfs":
        return []
    paths = sorted(path for path in subvolumes(appliance, device.device).values() if path.count("/") <= _MAX_DEPTH)
    return [f"btrfsvol:{device.device}/{path}" for path in paths[:_MAX_SUBVOLUMES]]


def _root(appliance: Appliance, mounted: str, device: BlockDevice, names: DeviceNames) -> Root | None:
    appliance.unmount()
    appliance.mount_one(mounted, "/", writable=False)
    if all(appliance.lstat(path) is None for path in RELEASE_FILES):
        return None
    return Root(mounted, device.device, _claims(appliance, mounted, device, names))


def _claims(appliance: Appliance, mounted: str, device: BlockDevice, names: DeviceNames) -> bool:
    if appliance.stat(fstab.PATH) is None:
        return False
    raids = mdadm.find(appliance, [device])
    for entry in fstab.parse(appliance.read(fstab.PATH).decode("utf-8", "surrogateescape")):
        if normal(entry.path) == "/" and (raids.get(entry.spec) or names.find(entry.spec)) == device:
            said = Wanted("/", entry.spec, device, option(entry, "subvol"))
            return mounted in {device.device, mountable(said, device, dict)}
    return False
