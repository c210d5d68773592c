"""INSPECT: what a guest is, from what its disks hold. Everything is mounted read-only."""

from collections.abc import Sequence
from pathlib import Path

from hyper2kvm.events import Events
from hyper2kvm.guest import contents as disks
from hyper2kvm.guest import encryption, firmware
from hyper2kvm.guest.appliance import Appliance
from hyper2kvm.guest.contents import Contents
from hyper2kvm.guest.description import Guest, Mount
from hyper2kvm.guest.linux import bootloaders, fstab, hibernation, interfaces, kernels, reading, vendortools
from hyper2kvm.guest.mounted import mount_all
from hyper2kvm.guest.systems import identify
from hyper2kvm.guest.unsupported import allow_copy
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.plan import Plan
from hyper2kvm_api.reasons import Reason


def inspect_guest(appliance: Appliance, plan: Plan, events: Events) -> Guest:
    """Describe a guest. What the guest mounts is mounted afterwards, read-only.

    Args:
        appliance: an appliance with the disks in the machine's order.
        plan: the migration.
        events: where warnings go.

    Raises:
        GuestError: NoOperatingSystem, MultipleOperatingSystems, UnsupportedOperatingSystem, EncryptedWithoutKey,
            GuestHibernated, FilesystemNotMounted or GuestFileInvalid.
    """
    keys = encryption.read_keys(Path(plan.keys_folder) if plan.keys_folder else None)
    contents = disks.look(appliance.handle, plan.machine, keys)
    found = identify(appliance, contents, plan.guest.root)
    if found.obstacle is not None:
        allow_copy(found.obstacle, plan.guest.when_unsupported, events)
        return Guest(
            os=found.system,
            root=None,
            boot_disk=_boot_disk(contents, ()),
            firmware=contents.firmware,
            devices=contents.devices,
        )
    _warn(contents, events)
    mounts = mount_all(appliance, contents, found.root or "", events)
    _refuse_hibernated(appliance, contents)
    return Guest(
        os=found.system,
        root=found.root,
        root_name=_root_name(appliance),
        boot_disk=_boot_disk(contents, mounts),
        firmware=contents.firmware,
        devices=contents.devices,
        mounts=mounts,
        kernels=kernels.find(appliance),
        boot_loaders=bootloaders.find(appliance, firmware.esp_folder(mounts), contents.boot_records),
        interfaces=interfaces.find(appliance),
        vendor_tools=vendortools.find(appliance),
    )


def without_boot_record(plan: Plan, events: Events) -> Guest:
    """A guest whose disks no firmware starts, so that none of them holds a system that was started from it.

    Raises:
        GuestError: NoOperatingSystem, unless the user allows a mere copy.
    """
    message = "no disk holds an operating system: none begins with a boot record, so that no firmware starts it"
    allow_copy(GuestError(Reason.NO_OPERATING_SYSTEM, message), plan.guest.when_unsupported, events)
    stated = firmware.detect(plan.machine.firmware, ())
    return Guest(os=None, root=None, boot_disk=plan.machine.disks[0].id, firmware=stated, devices=())


def _boot_disk(contents: Contents, mounts: Sequence[Mount]) -> str:
    return firmware.boot_disk(contents.firmware, contents.machine, contents.devices, mounts, contents.boot_records)


def _root_name(appliance: Appliance) -> str | None:
    return fstab.root_name(reading.text(appliance, fstab.PATH)) if reading.is_file(appliance, fstab.PATH) else None


def _warn(contents: Contents, events: Events) -> None:
    for device in contents.unlocked.locked:
        error = encryption.without_key([device], contents.keys, "it")
        events.warn(str(error.reason), f"{error.message}; it is copied as it is", hint=error.hint)


def _refuse_hibernated(appliance: Appliance, contents: Contents) -> None:
    """A guest that resumes would write over what was changed meanwhile: it remembers its file systems as they were."""
    asleep = hibernation.find(appliance, contents.devices)
    if asleep:
        raise GuestError(
            Reason.GUEST_HIBERNATED, f"the guest was hibernated: {', '.join(asleep)} holds the memory that it resumes"
        )
