"""Which network adapter an interface name in the guest's configuration meant."""

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hyper2kvm.guest.linux import vmwareslots
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

NEW_NAMES = tuple(f"enp{bus}s0" for bus in range(1, 33))
"""What udev may call an adapter of the target. KubeVirt and libvirt put each device behind a PCI Express root port of its
own, adapters first: buses 1, 2, …; no slot number leads to another name there."""

_USUAL_SLOTS = (192, 224, 256, 1184, 1216, 1248, 1280, 160)
"""Slots that VMware gives to adapters, the disks' controller being in 160; for sources that do not state them."""

_PCI_ADDRESS = re.compile(r"(?:[0-9a-f]{4}:)?([0-9a-f]{2}):([0-9a-f]{2})\.[0-7]")
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,14}")  # Linux allows 15 characters, and more kinds of them
_BY_ADDRESS = re.compile(r"enx([0-9a-f]{12})")
_KERNELS = re.compile(r"eth[\d*?\[\]!-]*")
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Pairing:
    """Names and adapters.

    Attributes:
        names: the adapter of each name that must be given to it.
        guessed: those of the names of which only their order tells the adapter.
        unpaired: names for which no adapter could be told.
        stale: names of the kernel's own (`eth0`) beside which every adapter has a name of its own.
    """

    names: Mapping[str, Nic] = field(default_factory=dict)
    guessed: tuple[str, ...] = ()
    unpaired: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()


def pair(interfaces: Sequence[Interface], nics: Sequence[Nic]) -> Pairing:
    """Find the adapter of every name of a physical interface that is not bound to its MAC address already.

    What decides, in this order: a MAC address beside or in the name; the PCI place that the name or a rule states; the
    order of names and adapters, where as many of both are left.
    """
    interfaces = _without_idle(interfaces)
    macs = {nic.mac: nic for nic in nics if nic.mac}
    bound = {each.name: macs[each.mac] for each in interfaces if each.binds and each.name and each.mac in macs}
    names = _physical(interfaces, nics, bound)
    stated = {each.name: macs[each.mac] for each in interfaces if each.name in names and each.mac in macs}
    paired: dict[str, Nic] = {}
    for name in names:
        nic = stated.get(name) or macs.get(_address_in(name)) or _by_place(name, interfaces, nics)
        if nic is not None and nic not in [*bound.values(), *paired.values()]:
            paired[name] = nic
    left = sorted((name for name in names if name not in paired), key=_given)
    free = [nic for nic in nics if nic.mac and nic not in [*bound.values(), *paired.values()]]
    stale = _stale(left, free) if nics else ()
    candidates = [name for name in left if name not in stale]
    unclear = _unclear(interfaces, nics, [*bound, *names])
    if len(candidates) != len(free):
        return Pairing(paired, unpaired=(*candidates, *unclear), stale=stale)
    guessed = tuple(candidates) if len(candidates) > 1 else ()
    return Pairing(paired | dict(zip(candidates, free, strict=True)), guessed, unclear, stale)


def is_kernels(name: str) -> bool:
    """Whether a name, or a shell pattern of names, is of those that the kernel itself gives: `eth0`."""
    return _KERNELS.fullmatch(name) is not None


def expand(pattern: str, nics: Sequence[Nic]) -> tuple[str, ...]:
    """The old names that a shell pattern of names matched; empty when it matches all new names as well.

    Also empty where the old names cannot be told.
    """
    if serves_new(pattern):
        return ()
    if fnmatch.fnmatchcase("eth0", pattern):
        return tuple(f"eth{number}" for number in range(len(nics)))
    slots = [nic.slot for nic in nics if nic.slot is not None] or _USUAL_SLOTS[: len(nics)]
    fitting = (fnmatch.filter(vmwareslots.names(slot), pattern)[:1] for slot in slots)
    return tuple(name for names in fitting for name in names)


def is_pattern(name: str) -> bool:
    """Whether a name stands for several."""
    return any(character in name for character in "*?[")


def serves_new(pattern: str) -> bool:
    """Whether a pattern matches whatever an adapter of the target may be called."""
    return all(fnmatch.fnmatchcase(name, pattern) for name in NEW_NAMES)


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
    found = [nic for nic in nics if nic.slot is not None and vmwareslots.address(nic.slot) == place]
    return found[0] if found else (nics[0] if len(nics) == 1 else None)


def by_name(name: str, nics: Sequence[Nic]) -> Nic | None:
    """The adapter whose PCI slot a name states."""
    return next((nic for nic in nics if nic.slot is not None and vmwareslots.is_named(name, nic.slot)), None)


def _without_idle(interfaces: Sequence[Interface]) -> list[Interface]:
    """All but patterns of the kernel's names beside one that serves the new names.

    Cloud images have `eth*` beside `en*`, for whatever comes: it does not tell that an adapter was called so.
    """
    served = any(each.name and not each.virtual and serves_new(each.name) for each in interfaces)
    idle = {
        each.name for each in interfaces if served and each.name and is_pattern(each.name) and is_kernels(each.name)
    }
    return [each for each in interfaces if each.name not in idle]


def _stale(left: Sequence[str], free: Sequence[Nic]) -> tuple[str, ...]:
    """The kernel's own names, where the others are as many as the adapters: `eth0` is then what no adapter has."""
    kernels = tuple(name for name in left if is_kernels(name))
    return kernels if len(left) - len(kernels) == len(free) else ()


def _unclear(interfaces: Sequence[Interface], nics: Sequence[Nic], names: Sequence[str]) -> tuple[str, ...]:
    """Patterns that neither serve the new names nor match any name that is configured or bound."""
    patterns = dict.fromkeys(each.name for each in interfaces if each.name and is_pattern(each.name))
    wanting = (each for each in patterns if not serves_new(each) and not expand(each, nics))
    return tuple(each for each in wanting if not fnmatch.filter(names, each))


def _physical(interfaces: Sequence[Interface], nics: Sequence[Nic], bound: Mapping[str, Nic]) -> list[str]:
    made = {each.name for each in interfaces if each.virtual}
    found: dict[str, None] = {}
    for each in interfaces:
        if each.name is None or each.virtual or (each.binds and each.back_end == "udev" and not each.path):
            continue
        found.update(dict.fromkeys(expand(each.name, nics) if is_pattern(each.name) else (each.name,)))
    return [name for name in found if name not in bound and name not in made and _NAME.fullmatch(name)]


def _by_place(name: str, interfaces: Iterable[Interface], nics: Sequence[Nic]) -> Nic | None:
    paths = (each.path for each in interfaces if each.name == name and each.path)
    return next((nic for path in paths if (nic := by_path(path, nics)) is not None), None) or by_name(name, nics)


def _address_in(name: str) -> str:
    """The MAC address in a name of the form `enx005056aa0001`; empty where there is none."""
    match = _BY_ADDRESS.fullmatch(name)
    return ":".join(match[1][at : at + 2] for at in range(0, 12, 2)) if match else ""


def _given(name: str) -> tuple[bool, tuple[int, int], list[tuple[int, str]]]:
    """A key that sorts names as adapters were added: by VMware's slots, else by their numbers."""
    place = vmwareslots.given_at(name)
    natural = [(int(part), "") if part.isdigit() else (-1, part) for part in _DIGITS.split(name)]
    return (place is None, place or (0, 0), natural)
