"""An interface as one of the guest's configurations knows it: what the network back ends have in common."""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from hyper2kvm.guest.description import InterfaceConfig

_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
_SOFTWARE = re.compile(
    r"lo|(?:bond|br|virbr|docker|veth|vlan|team|dummy|tun|tap|wg|vxlan|macvlan|ppp|wlan|wl|ww|ib|sit|gre|vnet)\d*"
    r"|(?:br|bond|vlan|team|dummy|wg|wl|ww)[-_.\w]*|.*[.@].*"
)

_WILD = re.compile(r"[*?]")


class Trait(StrEnum):
    """What a configuration can choose an adapter by, beside its name."""

    DRIVER = "driver"
    PATH = "path"
    MAC = "mac"


@dataclass(frozen=True)
class Chosen:
    """What to choose adapters by instead.

    Attributes:
        macs: their MAC addresses, at least one.
        driver: the driver that all adapters of the new machine have.
    """

    macs: tuple[str, ...]
    driver: str


Choose = Callable[[Trait, str], Chosen | None]
"""Given a trait and its value as a configuration has them, what to choose the adapter by instead; None to leave it."""


@dataclass(frozen=True)
class Interface:
    """What one configuration says of one interface.

    Attributes:
        back_end: `ifupdown`, `netplan`, `networkd`, `networkmanager`, `udev` or `initramfs`.
        file: path of the configuration.
        name: name, or shell pattern of names; None when the interface is chosen by other means alone.
        mac: MAC address in lower case that it is chosen by.
        driver: kernel driver that it is chosen by, such as `vmxnet3`.
        path: place on a bus that it is chosen by, such as `pci-0000:0b:00.0`.
        addresses: static addresses with prefix length.
        dhcp: whether it asks for an address by DHCP.
        virtual: whether software makes it: a bond, a bridge, a VLAN.
        binds: whether this configuration gives the name to what it matches, rather than looking for the name.
    """

    back_end: str
    file: str
    name: str | None = None
    mac: str | None = None
    driver: str | None = None
    path: str | None = None
    addresses: tuple[str, ...] = ()
    dhcp: bool = False
    virtual: bool = False
    binds: bool = False

    @property
    def config(self) -> InterfaceConfig:
        """The part that INSPECT's document holds."""
        return InterfaceConfig(
            back_end=self.back_end,
            file=self.file,
            name=self.name,
            mac=self.mac,
            addresses=self.addresses,
            dhcp=self.dhcp,
        )


def is_software(name: str) -> bool:
    """Whether a name, or a shell pattern of names, is by custom that of interfaces which software makes (or radios)."""
    return _SOFTWARE.fullmatch(_WILD.sub("0", name)) is not None


def mac_address(text: str | None) -> str | None:
    """A MAC address in lower case with colons, or None when the text is none."""
    plain = (text or "").strip().strip("\"'").lower().replace("-", ":")
    return plain if _MAC.fullmatch(plain) else None


def with_prefix(address: str, netmask: str | None = None) -> str | None:
    """An address with its prefix length, such as `192.0.2.10/24`; None when the text is no address."""
    text = address if "/" in address or netmask is None else f"{address}/{netmask}"
    try:
        return ipaddress.ip_interface(text).with_prefixlen
    except ValueError:
        return None
