"""systemd-networkd's and systemd-udevd's files (systemd.network(5), systemd.link(5), systemd.netdev(5))."""

import itertools
from collections.abc import Iterator

from hyper2kvm.guest.files import GuestFiles
from hyper2kvm.guest.linux import ini, reading
from hyper2kvm.guest.linux.interface import Choose, Interface, Trait, is_software, mac_address, with_prefix

FOLDER = "/etc/systemd/network"

_BACK_END = "networkd"
_TRAITS = {
    "Driver": Trait.DRIVER,
    "Path": Trait.PATH,
    "MACAddress": Trait.MAC,
    "PermanentMACAddress": Trait.MAC,
}
_ADDRESS_SECTIONS = ("Network", "Address")


def find(files: GuestFiles) -> Iterator[Interface]:
    """The interfaces that .network and .link files match; those that .netdev files make are virtual."""
    made = _made(files)
    for path in paths(files):
        text = reading.text(files, path)
        if path.endswith(".link"):
            yield _link(path, text)
        else:
            yield from _network(path, text, made)


def paths(files: GuestFiles) -> list[str]:
    """The .network and .link files in /etc, without masks: empty files and links to /dev/null."""
    found = [*reading.matching(files, f"{FOLDER}/*.network"), *reading.matching(files, f"{FOLDER}/*.link")]
    return [path for path in found if files.read(path)]


def rewritten(text: str, choose: Choose) -> str:
    """The text of a .network or .link file that matches adapters by other traits."""
    has_mac = any(_TRAITS.get(entry.key) is Trait.MAC for entry in _matches(text))
    for entry in _matches(text):
        trait = _TRAITS[entry.key]
        if trait is Trait.MAC:
            line = f"{entry.key}={' '.join(_address(word, choose) for word in entry.value.split())}"
        elif (new := choose(trait, entry.value)) is not None:
            # All of [Match] must be true, and addresses on several lines are one list: what is stated already decides.
            line = f"# {entry.key}={entry.value}" if has_mac else f"MACAddress={' '.join(new.macs)}"
        else:
            continue
        text = ini.with_line(text, entry, line) if line != f"{entry.key}={entry.value}" else text
    return text


def _matches(text: str) -> list[ini.Entry]:
    return [entry for entry in ini.entries(text) if entry.section == "Match" and entry.key in _TRAITS]


def _address(word: str, choose: Choose) -> str:
    stated = mac_address(word)
    new = choose(Trait.MAC, stated) if stated else None
    return new.macs[0] if new else word


def _made(files: GuestFiles) -> frozenset[str]:
    texts = reading.texts(files, f"{FOLDER}/*.netdev")
    return frozenset(name for _, text in texts if (name := ini.first(text, "NetDev", "Name")))


def _link(path: str, text: str) -> Interface:
    return Interface(
        _BACK_END,
        path,
        ini.first(text, "Link", "Name"),
        mac=next(iter(_addresses(text)), None),
        driver=ini.first(text, "Match", "Driver"),
        path=ini.first(text, "Match", "Path"),
        binds=True,
    )


def _network(path: str, text: str, made: frozenset[str]) -> Iterator[Interface]:
    """An interface for each name and each address that are matched."""
    addresses = [
        with_prefix(word) for section in _ADDRESS_SECTIONS for word in ini.values(text, section, "Address") if word
    ]
    names = ini.values(text, "Match", "Name")
    # `!lo` matches whatever has another name.
    stated: list[str | None] = [] if any(name.startswith("!") for name in names) else [*names]
    macs: list[str | None] = [*_addresses(text)]
    for name, mac in itertools.product(stated or [None], macs or [None]):
        yield Interface(
            _BACK_END,
            path,
            name,
            mac=mac,
            driver=ini.first(text, "Match", "Driver"),
            path=ini.first(text, "Match", "Path"),
            addresses=tuple(address for address in addresses if address),
            dhcp=(ini.first(text, "Network", "DHCP") or "no").lower() in {"yes", "true", "1", "on", "ipv4", "ipv6"},
            virtual=name is not None and (name in made or is_software(name)),
        )


def _addresses(text: str) -> list[str]:
    """The MAC addresses that [Match] states."""
    words = [*ini.values(text, "Match", "MACAddress"), *ini.values(text, "Match", "PermanentMACAddress")]
    return [mac for word in words if (mac := mac_address(word)) is not None]
