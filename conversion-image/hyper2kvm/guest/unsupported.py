"""Guests that are not repaired: an error, or disks that are copied as they are."""

from hyper2kvm.events import Events
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.options import UnsupportedPolicy


def allow_copy(obstacle: GuestError, policy: UnsupportedPolicy, events: Events) -> None:
    """Warn of what keeps a guest from being repaired, where the user allows a mere copy.

    Args:
        obstacle: what keeps it.
        policy: the user's choice (`guest.whenUnsupported`).
        events: where the warning goes.

    Raises:
        GuestError: the obstacle, where a copy is not enough.
    """
    if policy is not UnsupportedPolicy.COPY:
        raise obstacle
    events.warn(
        str(obstacle.reason),
        f"{obstacle.message}; the disks are copied unchanged",
        hint="Prepare the guest for KVM yourself: its drivers, boot loader and network.",
    )
