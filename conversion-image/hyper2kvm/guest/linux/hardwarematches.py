"""Configurations that choose network adapters by what the new machine does not have: a driver, a place, an address.

A source that states no address for an adapter (a single disk image, many an OVF) leaves it to be made up. A guest that
knows its adapter by the old one then finds none. Where one unknown address and one adapter are left, or the name beside
the address states the adapter's place, they belong together.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.fixer import Situation
from hyper2kvm.guest.linux import interfaces, netplan, networkd, networkmanager, pairing, reading, udevrules
from hyper2kvm.guest.linux.interface import Choose, Chosen, Interface, Trait
from hyper2kvm_api.machine import Nic

_REASON = "it looks for the adapter by its old hardware, which the new machine does not have"


def adopt(draft: Draft, situation: Situation) -> None:
    """Plan matches by the adapters' addresses in place of those by old hardware; warn of what cannot be told."""
    nics = situation.machine.nics
    addresses = _addresses(interfaces.details(draft), situation)
    for path, rewritten in _files(draft):
        choose = _Chooser(situation, addresses)
        draft.write(path, rewritten(draft.text(path), choose), *choose.reasons)
    _warn(draft, nics)


class _Chooser:
    """Chooses adapters by address (`interface.Choose`), and remembers why."""

    def __init__(self, situation: Situation, addresses: Mapping[str, Nic]) -> None:
        self._nics = situation.machine.nics
        self._driver = situation.network_driver
        self._addresses = addresses
        self.reasons: dict[str, None] = {}

    def __call__(self, trait: Trait, value: str) -> Chosen | None:
        if trait is Trait.DRIVER and self._driver in value.split():
            return None
        macs = dict.fromkeys(nic.mac for nic in self._meant(trait, value) if nic.mac)
        if not macs:
            return None
        self.reasons[self._reason(value) if trait is Trait.MAC else _REASON] = None
        return Chosen(tuple(macs), self._driver)

    def _meant(self, trait: Trait, value: str) -> list[Nic]:
        if trait is Trait.DRIVER:
            return [nic for driver in value.split() for nic in pairing.by_driver(driver, self._nics)]
        nic = self._addresses.get(value) if trait is Trait.MAC else pairing.by_path(value, self._nics)
        return [nic] if nic else []

    def _reason(self, mac: str) -> str:
        nic = self._addresses[mac]
        return f"the source does not state the address {mac} by which it knows the adapter {nic.id}, which has {nic.mac} now"


def _files(draft: Draft) -> Iterator[tuple[str, Callable[[str, Choose], str]]]:
    yield from ((path, networkd.rewritten) for path in networkd.paths(draft))
    for path in reading.matching(draft, netplan.PATTERN):
        yield path, partial(netplan.rewritten, path)
    yield from ((path, networkmanager.rewritten) for path in networkmanager.paths(draft))
    yield from ((path, udevrules.rewritten) for path in reading.matching(draft, udevrules.PATTERN))


def _addresses(found: Sequence[Interface], situation: Situation) -> dict[str, Nic]:
    """The adapters that addresses of the configuration mean which no adapter has."""
    nics = situation.machine.nics
    stated = {each.mac for each in found if each.mac and not each.virtual}
    free = [nic for nic in nics if nic.mac in situation.made_up and nic.mac not in stated]
    unknown = _unknown(found, nics)
    meant: dict[str, Nic] = {}
    for each in unknown:
        nic = pairing.by_name(each.name, free) if each.name else None
        if each.mac and nic is not None and nic not in meant.values():
            meant[each.mac] = nic
    left = list(dict.fromkeys(each.mac for each in unknown if each.mac and each.mac not in meant))
    free = [nic for nic in free if nic not in meant.values()]
    return meant | (dict(zip(left, free, strict=True)) if len(left) == len(free) == 1 else {})


def _unknown(found: Sequence[Interface], nics: Sequence[Nic]) -> list[Interface]:
    """What is chosen by an address that no adapter has. Of udev's rules many are stale: they count where others do not."""
    known = {nic.mac for nic in nics}
    # A file of networkd may list several addresses, of which one is enough.
    matched = {each.file for each in found if each.back_end == "networkd" and each.mac in known}
    unknown = [each for each in found if each.mac and each.mac not in known and not each.virtual]
    unknown = [each for each in unknown if each.file not in matched]
    return [each for each in unknown if each.back_end != "udev"] or unknown


def _warn(draft: Draft, nics: Sequence[Nic]) -> None:
    """Tell of matches that no adapter of the new machine fits."""
    have = ", ".join(f"{nic.id} ({nic.mac})" for nic in nics) or "none"
    found = [each for each in interfaces.details(draft) if each.back_end != "udev" and not each.virtual]
    for each in _unknown(found, nics):
        draft.warn(
            "AdapterNotMatched",
            f"{each.file} looks for the adapter with the address {each.mac}, which none has; adapters: {have}",
            "Write the address of the adapter that is meant into the file in the guest, before or after the migration.",
        )
    for each in found:
        if each.path and each.path.startswith("pci-"):
            draft.warn(
                "AdapterNotMatched",
                f"{each.file} looks for the adapter at {each.path}, a place of the old machine; which adapter stood "
                f"there cannot be told; adapters: {have}",
                "Name the adapter by its MAC address in the file in the guest.",
            )
