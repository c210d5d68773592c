"""Interface names that configurations refer to keep working: each is bound to its adapter's MAC address.

On new hardware udev gives other names (`ens192` becomes `enp1s0`). Bonds, VLANs, bridges, firewalls and daemons refer
to names, so the name is kept rather than followed through all of them.

It is kept by udev's rules and not by systemd's .link files, of which one alone, the first that matches, has a say in an
adapter (systemd.link(5)): a file of ours would switch off whatever the guest's own say of MTU, Wake-on-LAN or offloads.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.fixer import Fixer, Situation
from hyper2kvm.guest.linux import arguments, hardwarematches, interfaces, pairing, referrers, udevrules, vmwareslots
from hyper2kvm.guest.linux.interface import Interface
from hyper2kvm_api.machine import Nic

RULES = "/etc/udev/rules.d/70-hyper2kvm-net.rules"

_UNNAMED = re.compile(r"net\.ifnames=0")
_MASKS = ("/etc/systemd/network/99-default.link", "/etc/udev/rules.d/80-net-setup-link.rules")


def _plan(draft: Draft, situation: Situation) -> None:
    nics = situation.machine.nics
    hardwarematches.adopt(draft, situation)
    found = interfaces.details(draft)
    kernels = _kernel_names(draft)
    if kernels:
        theirs = [each for each in found if each.name and pairing.is_kernels(each.name)]
        _kernels_order(draft, theirs, nics)
        found = tuple(each for each in found if each not in theirs)
    paired = pairing.pair(found, nics)
    if not kernels:
        paired = dataclasses.replace(paired, names={**paired.names, **_referred(draft, found, paired, nics)})
    _bind(draft, paired.names)
    _tell(draft, paired, nics)


def _referred(draft: Draft, found: Sequence[Interface], paired: pairing.Pairing, nics: Sequence[Nic]) -> dict[str, Nic]:
    """The adapters that firewalls and daemons alone name, where the configuration gives them no other name."""
    named = {each.mac for each in found if each.binds and each.name} | {nic.mac for nic in paired.names.values()}
    referred: dict[str, Nic] = {}
    for name, nic in referrers.find(draft, nics):
        if nic.mac not in named:
            named.add(nic.mac)
            referred[name] = nic
    return referred


def _bind(draft: Draft, names: Mapping[str, Nic]) -> None:
    for name, nic in names.items():
        before = draft.text(RULES) if draft.is_file(RULES) else ""
        line = udevrules.rule(nic.mac or "", name)
        if line not in before:
            reason = f"{name} stays the name of the adapter {nic.mac} ({nic.id}); on the new hardware it would change"
            draft.write(RULES, before + line, reason)


def _tell(draft: Draft, paired: pairing.Pairing, nics: Sequence[Nic]) -> None:
    if not paired.names and not paired.unpaired:
        draft.note("no network configuration refers to an interface by a name that changes")
    for name in paired.stale:
        draft.note(f"{name} is configured in the guest, and every adapter has another name: it means none of them")
    have = ", ".join(f"{nic.id} ({nic.mac})" for nic in nics) or "none"
    for name in paired.unpaired:
        draft.warn(
            "InterfaceNotPaired",
            f"{name} is configured in the guest, and which network adapter it meant cannot be told; adapters: {have}",
            f"Name the adapter's MAC address in the guest's configuration of {name}, or remove the configuration.",
        )
    if paired.guessed:
        told = ", ".join(f"{name} is {paired.names[name].id} ({paired.names[name].mac})" for name in paired.guessed)
        draft.warn(
            "InterfacesPairedByOrder",
            f"which adapters the guest's interfaces were is taken from their order alone: {told}",
            f"Compare the networks of the adapters after the start; to exchange names, change the addresses in {RULES}.",
        )


def _kernel_names(draft: Draft) -> bool:
    """Whether interfaces keep the kernel's names: the kernel's argument says so, or udev's naming is masked."""
    menus = arguments.files(draft, arguments.MENUS)
    if any(
        lines.match(line) and _UNNAMED.search(line) for path, lines in menus for line in draft.text(path).split("\n")
    ):
        return True
    return any(_masked(draft, path) for path in _MASKS)


def _masked(draft: Draft, path: str) -> bool:
    found = draft.lstat(path)
    return found is not None and (draft.resolve(path) == "/dev/null" or found.size == 0)


def _kernels_order(draft: Draft, found: Sequence[Interface], nics: Sequence[Nic]) -> None:
    """Tell which of the kernel's own names change hands. They cannot be given: each is taken when it would be."""
    macs = {nic.mac for nic in nics}
    chosen = {each.name for each in found if each.mac in macs}
    names = dict.fromkeys(each.name for each in found if each.name and each.name not in chosen)
    moved = {name: pair for name, pair in _changed_order(nics).items() if name in names}
    if names and not moved:
        draft.note("the kernel's own names (eth0 …) are used, in the adapters' order: network names need no change")
    for name, (old, new) in moved.items():
        draft.warn(
            "InterfaceOrderChanges",
            f"{name} was the adapter {old.id} ({old.mac}) by its place on the old bus, and is {new.id} ({new.mac}) on the "
            "new machine: the guest uses the kernel's own names (net.ifnames=0)",
            f"Choose adapters by MAC address in the guest's configuration of {name}, or exchange the adapters' networks.",
        )


def _changed_order(nics: Sequence[Nic]) -> dict[str, tuple[Nic, Nic]]:
    """The kernel's names that mean another adapter on the new machine: the old one, and the new one."""
    slots = {nic.id: nic.slot for nic in nics if nic.slot is not None}
    if len(slots) < len(nics):
        return {}
    old = sorted(nics, key=lambda nic: vmwareslots.found_at(slots[nic.id]))
    return {f"eth{number}": pair for number, pair in enumerate(zip(old, nics, strict=True)) if pair[0] != pair[1]}


FIXER = Fixer("network names", lambda situation: situation.options.keep_network_names, _plan)
