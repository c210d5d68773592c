"""NetworkManager's keyfiles (nm-settings-keyfile(5))."""

import re
from collections.abc import Callable, Iterator

from hyper2kvm.guest.files import GuestFiles
from hyper2kvm.guest.linux import ini, reading
from hyper2kvm.guest.linux.interface import Interface, is_software, mac_address, with_prefix

FOLDER = "/etc/NetworkManager/system-connections"

_BACK_END = "networkmanager"
_ETHERNET = ("ethernet", "802-3-ethernet")
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


def rewritten(text: str, choose: Callable[[str], str | None]) -> str:
    """The text with other drivers in [match]; `choose` gives the new one, or None to leave it."""
    for entry in ini.entries(text):
        if (entry.section, entry.key) == ("match", "driver"):
            drivers = [choose(driver) or driver for driver in entry.value.strip(";").split(";")]
            line = f"driver={';'.join(drivers)};"
            if drivers != entry.value.strip(";").split(";"):
                text = ini.with_line(text, entry, line)
    return text


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
