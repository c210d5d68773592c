"""NetworkManager's keyfiles (nm-settings-keyfile(5))."""

import re
from collections.abc import Iterator

from hyper2kvm.guest.files import GuestFiles
from hyper2kvm.guest.linux import ini, reading
from hyper2kvm.guest.linux.interface import Choose, Interface, Trait, is_software, mac_address, with_prefix

FOLDER = "/etc/NetworkManager/system-connections"

_BACK_END = "networkmanager"
_ETHERNET = ("ethernet", "802-3-ethernet")
_TRAITS = {("match", "driver"): Trait.DRIVER, ("match", "path"): Trait.PATH} | {
    (section, "mac-address"): Trait.MAC for section in _ETHERNET
}
_ADDRESS = re.compile(r"address(es)?[0-9]*")


def find(files: GuestFiles) -> Iterator[Interface]:
    """The interface of every connection, and the ones that VLANs are made from."""
    for path in paths(files):
        text = reading.text(files, path)
        yield _interface(path, text)
        parent = ini.first(text, "vlan", "parent")
        if parent and not is_software(parent):
            yield Interface(_BACK_END, path, parent)


def paths(files: GuestFiles) -> list[str]:
    """The keyfiles: NetworkManager passes over names that begin with a dot or end like an editor's copy."""
    found = reading.matching(files, f"{FOLDER}/*")
    return [path for path in found if not path.endswith(("~", ".swp")) and "/." not in path]


def rewritten(text: str, choose: Choose) -> str:
    """The text of a keyfile that matches adapters by other traits."""
    mac = None
    for entry in ini.entries(text):
        trait = _TRAITS.get((entry.section, entry.key))
        if trait is Trait.DRIVER:
            drivers = entry.value.strip(";").split(";")
            new = [chosen.driver if (chosen := choose(trait, driver)) else driver for driver in drivers]
            text = ini.with_line(text, entry, f"driver={';'.join(new)};") if new != drivers else text
            continue
        stated = mac_address(entry.value) if trait is Trait.MAC else entry.value.strip(";")
        if trait is not None and stated and (chosen := choose(trait, stated)) is not None:
            mac = chosen.macs[0].upper()
            line = f"# {entry.key}={entry.value}" if trait is Trait.PATH else f"{entry.key}={mac}"
            text = ini.with_line(text, entry, line)
    return text if mac is None else _with_address(text, mac)


def _with_address(text: str, mac: str) -> str:
    """The text with the adapter's address, unless it states one."""
    if any(ini.first(text, section, "mac-address") for section in _ETHERNET):
        return text
    section = next((name for name in _ETHERNET if f"[{name}]" in text.split("\n")), None)
    if section is None:
        return f"{text.rstrip()}\n\n[{_ETHERNET[0]}]\nmac-address={mac}\n"
    return text.replace(f"[{section}]\n", f"[{section}]\nmac-address={mac}\n", 1)


def _interface(path: str, text: str) -> Interface:
    kind = ini.first(text, "connection", "type") or "ethernet"
    name = ini.first(text, "connection", "interface-name") or ini.first(text, "match", "interface-name")
    ethernet = (ini.first(text, section, "mac-address") for section in _ETHERNET)
    mac = next((value for value in ethernet if value), None)
    methods = {ini.first(text, section, "method") for section in ("ipv4", "ipv6")}
    return Interface(
        _BACK_END,
        path,
        name.strip(";") if name else None,
        mac=mac_address(mac),
        driver=(ini.first(text, "match", "driver") or "").strip(";") or None,
        path=(ini.first(text, "match", "path") or "").strip(";") or None,
        addresses=tuple(_addresses(text)),
        dhcp="auto" in methods or "dhcp" in methods,
        virtual=kind not in _ETHERNET,
    )


def _addresses(text: str) -> Iterator[str]:
    for entry in ini.entries(text):
        if entry.section in {"ipv4", "ipv6"} and _ADDRESS.fullmatch(entry.key):
            for value in entry.value.split(";"):
                address = with_prefix(value.split(",")[0].strip())
                if address and "/" in value:
                    yield address
