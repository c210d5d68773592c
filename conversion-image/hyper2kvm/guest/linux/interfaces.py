"""Network interfaces that a guest's configurations name, whichever back end reads them."""

from collections.abc import Callable, Iterable

from hyper2kvm.guest.description import InterfaceConfig
from hyper2kvm.guest.files import GuestFiles
from hyper2kvm.guest.linux import earlynetwork, ifupdown, netplan, networkd, networkmanager, udevrules
from hyper2kvm.guest.linux.interface import Interface

BACK_ENDS: tuple[Callable[[GuestFiles], Iterable[Interface]], ...] = (
    ifupdown.find,
    netplan.find,
    networkd.find,
    networkmanager.find,
    udevrules.find,
    earlynetwork.find,
)
"""Every back end that is looked at."""


def find(files: GuestFiles) -> tuple[InterfaceConfig, ...]:
    """What the configurations say, for INSPECT's document; the loopback is left out.

    Raises:
        GuestError: GuestFileInvalid: a configuration cannot be understood.
    """
    return tuple(interface.config for interface in details(files))


def details(files: GuestFiles) -> tuple[Interface, ...]:
    """As `find`, with what a repair needs besides."""
    return tuple(interface for back_end in BACK_ENDS for interface in back_end(files) if interface.name != "lo")
