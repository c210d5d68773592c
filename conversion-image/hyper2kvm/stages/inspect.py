"""INSPECT: what is inside the disks."""

from hyper2kvm.guest import firmware
from hyper2kvm.guest.description import Guest
from hyper2kvm.guest.inspection import inspect_guest, without_boot_record
from hyper2kvm.stages.opened import OpenedDisks
from hyper2kvm.stages.work import Work


def inspect(work: Work, opened: OpenedDisks) -> Guest:
    """Describe the guest on the disks. Disks that no firmware starts are told so without the appliance.

    Raises:
        GuestError: there is no guest that can be repaired; the reason says why.
        HostError: the appliance did not start or ended.
        SourceError: SourceUnreadable.
    """
    if not any(firmware.has_boot_record(sector) for sector in opened.first_sectors()):
        return without_boot_record(work.plan, work.events)
    return inspect_guest(opened.appliance, work.plan, work.events)
