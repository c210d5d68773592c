"""Interface names that configurations refer to keep working: each is bound to its adapter's MAC address.

On new hardware udev gives other names (`ens192` becomes `enp1s0`). Bonds, VLANs, bridges, firewalls and daemons refer
to names, so the name is kept rather than followed through all of them.
"""

import re

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.fixer import Fixer, Situation
from hyper2kvm.guest.linux import arguments, interfaces, netplan, networkd, networkmanager, pairing, reading, udevrules
from hyper2kvm.guest.linux.pairing import NEW_DRIVER
from hyper2kvm_api.machine import Nic

RULES = "/etc/udev/rules.d/70-hyper2kvm-net.rules"

_LINK = """\
# Keeps the name of the network adapter, which another controller would change.
[Match]
MACAddress={mac}
Type=!vlan bond bridge

[Link]
Name={name}
"""
# A negated Type= keeps the file off VLANs, which share the adapter's MAC address. Older systemd does not know it:
# there a udev rule does the same.
_LINK_SINCE = 245

_VERSIONED = re.compile(r"libsystemd-shared-(\d+)")
_SHARED_LIBRARY = (
    "/usr/lib/systemd/libsystemd-shared-*.so",
    "/lib/systemd/libsystemd-shared-*.so",
    "/usr/lib/*/systemd/libsystemd-shared-*.so",
)
_UNNAMED = re.compile(r"net\.ifnames=0")
_MASKS = ("/etc/systemd/network/99-default.link", "/etc/udev/rules.d/80-net-setup-link.rules")


def link_file(name: str) -> str:
    """Path of the file that gives an adapter its name."""
    return f"/etc/systemd/network/10-hyper2kvm-{name}.link"


def _plan(draft: Draft, situation: Situation) -> None:
    nics = situation.machine.nics
    _adopt_matches(draft, nics)
    found = pairing.pair(interfaces.details(draft), nics)
    kernel_named = _kernel_names(draft)
    bound = {name: nic for name, nic in found.names.items() if not (kernel_named and name.startswith("eth"))}
    if len(bound) < len(found.names):
        draft.note("the kernel's own names (eth0 …) are used, in the adapters' order: network names need no change")
    _bind(draft, bound)
    for name in found.unpaired:
        if not (kernel_named and name.startswith("eth")):
            _unpaired(draft, name, nics)
    if not found.names and not found.unpaired:
        draft.note("no network configuration refers to an interface by a name that changes")


def _bind(draft: Draft, bound: dict[str, Nic]) -> None:
    reasons = {
        name: f"{name} stays the name of the adapter {nic.mac} ({nic.id}); on the new hardware it would change"
        for name, nic in bound.items()
    }
    if (systemd_version(draft) or 0) >= _LINK_SINCE:
        for name, nic in bound.items():
            draft.write(link_file(name), _LINK.format(mac=nic.mac, name=name), reasons[name])
        return
    for name, nic in bound.items():
        before = draft.text(RULES) if draft.is_file(RULES) else ""
        line = udevrules.rule(nic.mac or "", name)
        if line not in before:
            draft.write(RULES, before + line, reasons[name])


def systemd_version(draft: Draft) -> int | None:
    """The guest's systemd version, by the name of its library; None when it has none or an old one (before 230)."""
    found = (path for pattern in _SHARED_LIBRARY for path in draft.glob(pattern))
    versions = (int(match[1]) for match in map(_VERSIONED.search, found) if match)
    return max(versions, default=None)


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


def _adopt_matches(draft: Draft, nics: tuple[Nic, ...]) -> None:
    """Configurations that look for adapters by the old hardware's driver or place."""
    for path in networkd.paths(draft):
        text = networkd.rewritten(draft.text(path), lambda kind, value: _macs(kind, value, nics))
        _write(draft, path, text)
    for path in reading.matching(draft, netplan.PATTERN):
        text = netplan.rewritten(path, draft.text(path), lambda driver, mac: _netplan_match(driver, nics, has_mac=mac))
        _write(draft, path, text)
    for path in networkmanager.paths(draft):
        text = networkmanager.rewritten(
            draft.text(path), lambda driver: NEW_DRIVER if pairing.by_driver(driver, nics) else None
        )
        _write(draft, path, text)


def _write(draft: Draft, path: str, text: str) -> None:
    reason = "it looks for the adapter by its old hardware, which the new machine does not have"
    draft.write(path, text, reason)


def _macs(kind: str, value: str, nics: tuple[Nic, ...]) -> str | None:
    if kind == "path":
        nic = pairing.by_path(value, nics)
        return nic.mac if nic else None
    found = {nic.mac: None for driver in value.split() for nic in pairing.by_driver(driver, nics) if nic.mac}
    return " ".join(found) or None


def _netplan_match(driver: str, nics: tuple[Nic, ...], *, has_mac: bool) -> str | None:
    found = {nic.mac: None for each in driver.split() for nic in pairing.by_driver(each, nics) if nic.mac}
    if not found:
        return None
    # netplan takes one address only; a match that served several adapters stays one by driver.
    return f"driver: {NEW_DRIVER}" if has_mac or len(found) > 1 else f'macaddress: "{next(iter(found))}"'


def _unpaired(draft: Draft, name: str, nics: tuple[Nic, ...]) -> None:
    have = ", ".join(f"{nic.id} ({nic.mac})" for nic in nics) or "none"
    draft.warn(
        "InterfaceNotPaired",
        f"{name} is configured in the guest, and which network adapter it meant cannot be told; adapters: {have}",
        f"Name the adapter's MAC address in the guest's configuration of {name}, or remove the configuration.",
    )


FIXER = Fixer("network names", lambda situation: situation.options.keep_network_names, _plan)
