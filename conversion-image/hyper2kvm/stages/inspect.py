"""INSPECT: what is inside the disks."""

from hyper2kvm.guest.description import Guest
from hyper2kvm.guest.inspection import inspect_guest
from hyper2kvm.stages.opened import OpenedDisks
from hyper2kvm.stages.work import Work


def inspect(work: Work, opened: OpenedDisks) -> Guest:
    """Describe the guest on the disks.

    Raises:
        GuestError: there is no guest that can be repaired; the reason says why.
        HostError: the appliance did not start or ended.
    """
    return inspect_guest(opened.appliance, work.plan, work.events)
