"""Which operating system the disks hold, and where its root file system is."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hyper2kvm.guest import encryption, roots
from hyper2kvm.guest.appliance import Appliance
from hyper2kvm.guest.contents import Contents
from hyper2kvm.guest.description import Family, OperatingSystem
from hyper2kvm.guest.handle import appliance_failed, guarded
from hyper2kvm.guest.linux import osrelease
from hyper2kvm.guest.mounted import mount_usr
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.reasons import Reason

_NO_WORD = re.compile(r"[^a-z0-9._-]")


@dataclass(frozen=True)
class Identified:
    """What was found.

    Attributes:
        system: the operating system; None when there is none, or none that can be told.
        root: the mountable of its root file system.
        obstacle: why it cannot be repaired (NoOperatingSystem or UnsupportedOperatingSystem); None when it can.
    """

    system: OperatingSystem | None
    root: str | None
    obstacle: GuestError | None


def identify(appliance: Appliance, contents: Contents, wanted: str | None) -> Identified:
    """Find the operating system. When it can be repaired its root file system is mounted, alone and read-only.

    Args:
        appliance: the appliance.
        contents: what the disks hold.
        wanted: the user's choice of the root's device.

    Raises:
        GuestError: MultipleOperatingSystems, EncryptedWithoutKey or FilesystemNotMounted.
    """
    found = roots.find(appliance, contents.devices, contents.names)
    if not found.roots:
        return _without_linux(appliance, contents, found.failures)
    root = roots.choose(found.roots, wanted, contents.names).mountable
    appliance.mount_one(root, "/", writable=False)
    system = _read(appliance, contents, root)
    if system is None or system.family is Family.UNKNOWN:
        return Identified(system, root, _unsupported(system.name if system else "a Linux without os-release", root))
    return Identified(system, root, None)


def _read(appliance: Appliance, contents: Contents, root: str) -> OperatingSystem | None:
    """The system on the mounted root. What tells it stands in /usr, which may be a file system of its own."""
    apart = mount_usr(appliance, contents, root)
    system = osrelease.read(appliance)
    if apart:
        appliance.unmount()
        appliance.mount_one(root, "/", writable=False)
    return system


def _without_linux(appliance: Appliance, contents: Contents, failures: Sequence[GuestError]) -> Identified:
    if contents.unlocked.locked:
        raise encryption.without_key(contents.unlocked.locked, contents.keys, "the operating system")
    if failures:
        raise failures[0]
    other = _other_system(appliance)
    if other is not None:
        return Identified(other, None, _unsupported(other.name, "these disks"))
    kinds = ", ".join(f"{device.device} ({device.type})" for device in contents.devices) or "nothing"
    return Identified(
        None, None, GuestError(Reason.NO_OPERATING_SYSTEM, f"no disk holds an operating system; found: {kinds}")
    )


def _other_system(appliance: Appliance) -> OperatingSystem | None:
    """What is no Linux with an os-release, by libguestfs' own inspection, which takes ten times as long."""
    handle = appliance.handle
    with guarded(handle, appliance_failed):
        found = handle.inspect_os()
        if not found:
            return None
        kind, name = handle.inspect_get_type(found[0]), handle.inspect_get_product_name(found[0])
        return OperatingSystem(
            family=Family.UNKNOWN,
            id=_NO_WORD.sub("-", kind.lower()),
            version="",
            name=kind if name == "unknown" else name,
            architecture=handle.inspect_get_arch(found[0]),
        )


def _unsupported(name: str, where: str) -> GuestError:
    return GuestError(
        Reason.UNSUPPORTED_OPERATING_SYSTEM,
        f"{name}, on {where}, is not among the systems that are repaired: {osrelease.REPAIRED}",
    )
