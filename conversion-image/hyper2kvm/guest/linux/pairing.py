"""Which network adapter an interface name in the guest's configuration meant."""

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hyper2kvm.guest.linux.interface import Interface
from hyper2kvm_api.machine import Nic

OLD_DRIVERS: Mapping[str, frozenset[str]] = {
    "vmxnet3": frozenset({"vmxnet3"}),
    "vmxnet": frozenset({"vmxnet", "vmxnet2"}),
    "e1000": frozenset({"e1000"}),
    "e1000e": frozenset({"e1000e"}),
    "pcnet32": frozenset({"vlance", "pcnet32"}),
    "hv_netvsc": frozenset(),
    "xen_netfront": frozenset(),
    "vif": frozenset(),
    "ena": frozenset(),
    "gve": frozenset(),
    "ixgbevf": frozenset(),
}
"""Linux drivers of other hypervisors' adapters, with the models by which sources name those adapters."""

NEW_DRIVER = "virtio_net"
"""Driver of KVM's own adapter."""

_BUS_BASE: Mapping[int, int] = {1: 2, 5: 3, 6: 11, 7: 19, 8: 27}
"""VMware's PCI bridges by the upper bits of a slot number, with the bus behind the first function: 11.0, 15.0 to 18.0."""

_NEW_NAMES = ("enp1s0", "ens3", "eth0")
_PCI_ADDRESS = re.compile(r"(?:[0-9a-f]{4}:)?([0-9a-f]{2}):([0-9a-f]{2})\.[0-7]")
_ONBOARD = re.compile(r"eno([0-9]{6,})")
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,14}")  # Linux allows 15 characters, and more kinds of them
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Pairing:
    """Names and adapters.

    Attributes:
        names: the adapter of each name that must be given to it.
        unpaired: names for which no adapter could be told.
    """

    names: Mapping[str, Nic] = field(default_factory=dict)
    unpaired: tuple[str, ...] = ()


def pair(interfaces: Sequence[Interface], nics: Sequence[Nic]) -> Pairing:
    """Find the adapter of every name of a physical interface that is not bound to its MAC address already.

    What decides, in this order: a MAC address beside the name; the PCI place that the name or a rule states; the order
    of names and adapters, where as many of both are left.
    """
    macs = {nic.mac: nic for nic in nics if nic.mac}
    bound = {each.name: macs[each.mac] for each in interfaces if each.binds and each.name and each.mac in macs}
    names = _physical(interfaces, nics, bound)
    stated = {each.name: macs[each.mac] for each in interfaces if each.name in names and each.mac in macs}
    paired: dict[str, Nic] = {}
    for name in names:
        nic = stated.get(name) or _by_place(name, interfaces, nics)
        if nic is not None and nic not in [*bound.values(), *paired.values()]:
            paired[name] = nic
    left = sorted((name for name in names if name not in paired), key=_natural)
    free = [nic for nic in nics if nic.mac and nic not in [*bound.values(), *paired.values()]]
    if len(left) == len(free):
        return Pairing(paired | dict(zip(left, free, strict=True)))
    return Pairing(paired, tuple(left))


def slot_names(slot: int) -> frozenset[str]:
    """What udev called an adapter of VMware's in a PCI slot: by slot, by bus address.

    Slot 192 is function 0 of bridge 22.0: `ens192`, and `enp11s0` where firmware names no slots. Slot 1184, function 1
    of the bridge of slot 160, is `ens161`.
    """
    bus, device = _address(slot)
    by_slot = (slot & 0x3FF) + (slot >> 10)
    return frozenset({f"ens{by_slot}", *([f"enp{bus}s{device}"] if bus is not None else [])})


def expand(pattern: str, nics: Sequence[Nic]) -> tuple[str, ...]:
    """The old names that a shell pattern of names matched; empty when it matches the new names as well."""
    if any(fnmatch.fnmatchcase(name, pattern) for name in _NEW_NAMES[:2]):
        return ()
    if fnmatch.fnmatchcase("eth0", pattern):
        return tuple(f"eth{number}" for number in range(len(nics)))
    old = (sorted(slot_names(nic.slot), reverse=True) for nic in nics if nic.slot is not None)
    return tuple(name for names in old for name in names[:1] if fnmatch.fnmatchcase(name, pattern))


def by_driver(driver: str, nics: Sequence[Nic]) -> tuple[Nic, ...]:
    """The adapters that an old driver served; empty when the driver is none of another hypervisor's."""
    if driver not in OLD_DRIVERS:
        return ()
    models = OLD_DRIVERS[driver]
    return tuple(nic for nic in nics if not models or nic.model is None or nic.model in models)


def by_path(path: str, nics: Sequence[Nic]) -> Nic | None:
    """The adapter at a PCI address as the old hypervisor gave it, such as `pci-0000:0b:00.0`."""
    match = _PCI_ADDRESS.search(path)
    if match is None:
        return None
    place = (int(match[1], 16), int(match[2], 16))
    found = [nic for nic in nics if nic.slot is not None and _address(nic.slot) == place]
    return found[0] if found else (nics[0] if len(nics) == 1 else None)


def _physical(interfaces: Sequence[Interface], nics: Sequence[Nic], bound: Mapping[str, Nic]) -> list[str]:
    made = {each.name for each in interfaces if each.virtual}
    found: dict[str, None] = {}
    for each in interfaces:
        if each.name is None or each.virtual or (each.binds and each.back_end == "udev" and not each.path):
            continue
        is_pattern = any(character in each.name for character in "*?[")
        found.update(dict.fromkeys(expand(each.name, nics) if is_pattern else (each.name,)))
    return [name for name in found if name not in bound and name not in made and _NAME.fullmatch(name)]


def _by_place(name: str, interfaces: Iterable[Interface], nics: Sequence[Nic]) -> Nic | None:
    for each in interfaces:
        if each.name == name and each.path and (nic := by_path(each.path, nics)) is not None:
            return nic
    onboard = _ONBOARD.fullmatch(name)
    for nic in nics:
        if nic.slot is None:
            continue
        bus, device = _address(nic.slot)
        if name in slot_names(nic.slot) or (onboard and bus and int(onboard[1]) & 0xFFFFFF == bus << 8 | device << 3):
            return nic
    return None


def _address(slot: int) -> tuple[int | None, int]:
    """Bus and device of a VMware PCI slot number: device in the low 5 bits, bridge in the next 5, then its function."""
    base = _BUS_BASE.get((slot >> 5) & 0x1F)
    return (base + (slot >> 10) if base is not None else None), slot & 0x1F


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in _DIGITS.split(name)]
