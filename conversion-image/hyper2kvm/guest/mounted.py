"""A guest's file systems, mounted in the appliance as the guest itself would mount them."""

from collections.abc import Iterator

from hyper2kvm.events import Events
from hyper2kvm.guest import encryption, firmware, mounting, roots
from hyper2kvm.guest.appliance import Appliance
from hyper2kvm.guest.contents import Contents
from hyper2kvm.guest.description import BlockDevice, Mount
from hyper2kvm.guest.devices import device_of
from hyper2kvm.guest.handle import appliance_failed, guarded
from hyper2kvm.guest.linux import crypttab, fstab, mdadm
from hyper2kvm.guest.mounting import Wanted
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.machine import Firmware
from hyper2kvm_api.reasons import Reason

_USR = "/usr"


def mount_all(appliance: Appliance, contents: Contents, root: str, events: Events) -> tuple[Mount, ...]:
    """Mount what the guest mounts at its start, read-only, over its root, which is mounted already.

    What cannot be mounted and is not needed to start the guest is warned of.

    Raises:
        GuestError: FilesystemNotMounted or EncryptedWithoutKey, for a file system that is needed to start the guest.
    """
    mounting_ = _Mounting(appliance, contents, root)
    for wanted in mounting_.by_fstab():
        mounting_.mount(wanted, events)
    for wanted in mounting_.discovered():
        mounting_.mount(wanted, events)
    return mounting_.mounts()


def mount_usr(appliance: Appliance, contents: Contents, root: str) -> bool:
    """Mount /usr, where it is a file system of its own, over the root, which is mounted already; whether it is.

    Raises:
        GuestError: FilesystemNotMounted or EncryptedWithoutKey.
    """
    mounting_ = _Mounting(appliance, contents, root)
    wanted = next((each for each in mounting_.by_fstab() if each.path == _USR), None)
    if wanted is not None:
        mounting_.mount(wanted)
    return wanted is not None


class _Mounting:
    def __init__(self, appliance: Appliance, contents: Contents, root: str) -> None:
        self._appliance = appliance
        self._contents = contents
        self._mounted = {"/": root}

    def by_fstab(self) -> list[Wanted]:
        if self._appliance.stat(fstab.PATH) is None:
            return []
        entries = fstab.parse(self._text(fstab.PATH))
        return mounting.by_fstab(entries, self._contents.names, self._mapped())

    def discovered(self) -> Iterator[Wanted]:
        contents = self._contents
        if contents.firmware is not Firmware.UEFI:
            return iter(())
        boot_disk = firmware.boot_disk(
            contents.firmware, contents.machine, contents.devices, self.mounts(), contents.boot_records
        )
        return mounting.discovered(contents.devices, boot_disk, tuple(self._mounted), self._is_empty)

    def mount(self, wanted: Wanted, events: Events | None = None) -> None:
        """A failure is an error, unless there are events to warn by and the guest starts without the file system."""
        try:
            self._mounted[wanted.path] = self._mount(wanted)
        except GuestError as error:
            if wanted.needed or events is None:
                raise
            events.warn(str(error.reason), error.message, hint=error.hint)

    def mounts(self) -> tuple[Mount, ...]:
        return tuple(self._described(path, mountable) for path, mountable in self._mounted.items())

    def _mapped(self) -> dict[str, BlockDevice]:
        """Devices by the names that only the guest's own configuration gives them: RAIDs, and what is unlocked."""
        found = mdadm.find(self._appliance, self._contents.devices)
        if self._appliance.stat(crypttab.PATH) is None:
            return found
        by_name = {device.device: device for device in self._contents.devices}
        for entry in crypttab.parse(self._text(crypttab.PATH)):
            source = found.get(entry.source) or self._contents.names.find(entry.source)
            unlocked = self._contents.unlocked.mapped.get(source.device) if source else None
            if unlocked in by_name:
                for link in ("/dev/mapper/", "/dev/disk/by-id/dm-name-"):
                    found[link + entry.name] = by_name[unlocked]
        return found

    def _mount(self, wanted: Wanted) -> str:
        device = wanted.device
        if device is None:
            raise self._unfound(wanted)
        mountable = mounting.mountable(wanted, device, lambda: roots.subvolumes(self._appliance, device.device))
        self._appliance.mount_one(mountable, wanted.path, writable=False)
        return mountable

    def _unfound(self, wanted: Wanted) -> GuestError:
        locked = self._contents.unlocked.locked
        if locked:
            return encryption.without_key(locked, self._contents.keys, f"{wanted.spec}, the guest's {wanted.path},")
        return GuestError(
            Reason.FILESYSTEM_NOT_MOUNTED,
            f"{wanted.spec}, the guest's {wanted.path} by {fstab.PATH}, is on none of the machine's disks",
            hint=f"Add the disk that holds it to the source, or correct the entry in the guest's {fstab.PATH}.",
            file=fstab.PATH,
        )

    def _described(self, path: str, mountable: str) -> Mount:
        device = device_of(mountable, self._contents.devices)
        with guarded(self._appliance.handle, appliance_failed):
            sizes = self._appliance.handle.statvfs(path)
        unit = sizes["frsize"]
        return Mount(
            device=mountable,
            path=path,
            type=device.type if device else "unknown",
            # What is reserved for root counts as free: root writes.
            free=sizes["bfree"] * unit,
            size=sizes["blocks"] * unit,
        )

    def _is_empty(self, path: str) -> bool:
        return self._appliance.stat(path) is not None and not self._appliance.list(path)

    def _text(self, path: str) -> str:
        return self._appliance.read(path).decode("utf-8", "surrogateescape")
