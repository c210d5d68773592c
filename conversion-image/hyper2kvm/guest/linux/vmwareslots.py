"""VMware's PCI slot numbers: what a guest called the adapter in a slot, and in which order its kernel found them.

A slot number (`ethernet0.pciSlotNumber`) holds the device in its low 5 bits, a bridge in the next 5, and above them the
bridge's function. Bridges 15.0 to 18.0 of the virtual chipset have eight functions each, a bus behind each function.
"""

import re
from collections.abc import Mapping

_BUS_BASE: Mapping[int, int] = {1: 2, 5: 3, 6: 11, 7: 19, 8: 27}
"""Bridges by the upper bits of a slot number, with the bus behind the first function: 11.0, 15.0 to 18.0."""

_PORTS = 32
_FIRST_PORT = 160
"""Slots from here on are PCI Express ports, which come in steps of 32: 160, 192, 224, 256, then their next functions."""

_BY_SLOT = re.compile(r"ens(\d{1,5})")
_ONBOARD = re.compile(r"eno(\d{6,10})")


def address(slot: int) -> tuple[int | None, int]:
    """Bus and device of a slot number; None for a bus that is not known."""
    base = _BUS_BASE.get((slot >> 5) & 0x1F)
    return (base + (slot >> 10) if base is not None else None), slot & 0x1F


def names(slot: int) -> tuple[str, ...]:
    """What udev called an adapter in a slot: by slot, and by bus address where firmware names no slots.

    Slot 192 is function 0 of bridge 16.0: `ens192`, `enp11s0`. Slot 1184, function 1 of the bridge of slot 160, is
    `ens161`.
    """
    bus, device = address(slot)
    by_slot = (slot & 0x3FF) + (slot >> 10)
    return (f"ens{by_slot}", *([f"enp{bus}s{device}"] if bus is not None else []))


def is_named(name: str, slot: int) -> bool:
    """Whether a name is one that udev gave to an adapter in a slot; the numbers of `eno` hold the bus address."""
    bus, device = address(slot)
    onboard = _ONBOARD.fullmatch(name)
    if onboard and bus is not None:
        return int(onboard[1]) & 0xFFFFFF == bus << 8 | device << 3
    return name in names(slot)


def found_at(slot: int) -> tuple[int, int]:
    """A key that sorts slots as the kernel finds their devices, and numbers eth0, eth1, …: by bus address."""
    bus, device = address(slot)
    return bus or 0, device


def given_at(name: str) -> tuple[int, int] | None:
    """A key that sorts names as VMware hands out their slots: ens160, 192, 224, 256, 161, 193, …; None for others."""
    match = _BY_SLOT.fullmatch(name)
    if match is None:
        return None
    number = int(match[1])
    return (number % _PORTS, number) if number >= _FIRST_PORT else (0, number)
