"""systemd-networkd's and systemd-udevd's files (systemd.network(5), systemd.link(5), systemd.netdev(5))."""

from collections.abc import Callable, Iterator

from hyper2kvm.guest.files import GuestFiles
from hyper2kvm.guest.linux import ini, reading
from hyper2kvm.guest.linux.interface import Interface, is_software, mac_address, with_prefix

FOLDER = "/etc/systemd/network"

_BACK_END = "networkd"
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


def rewritten(text: str, choose: Callable[[str, str], str | None]) -> str:
    """The text with a MAC address in place of every match by old hardware.

    Args:
        text: a .network or .link file.
        choose: given `driver` or `path` and the value, the MAC addresses to match instead, or None to leave it.
    """
    for entry in ini.entries(text):
        if entry.section != "Match" or entry.key not in {"Driver", "Path"}:
            continue
        mac = choose(entry.key.lower(), entry.value)
        if mac is not None:
            text = ini.with_line(text, entry, f"MACAddress={mac}")
    return text


def _made(files: GuestFiles) -> frozenset[str]:
    texts = reading.texts(files, f"{FOLDER}/*.netdev")
    return frozenset(name for _, text in texts if (name := ini.first(text, "NetDev", "Name")))


def _link(path: str, text: str) -> Interface:
    return Interface(
        _BACK_END,
        path,
        ini.first(text, "Link", "Name"),
        mac=mac_address(ini.first(text, "Match", "MACAddress") or ini.first(text, "Match", "PermanentMACAddress")),
        driver=ini.first(text, "Match", "Driver"),
        path=ini.first(text, "Match", "Path"),
        binds=True,
    )


def _network(path: str, text: str, made: frozenset[str]) -> Iterator[Interface]:
    addresses = [
        with_prefix(word) for section in _ADDRESS_SECTIONS for word in ini.values(text, section, "Address") if word
    ]
    mac = mac_address(ini.first(text, "Match", "MACAddress") or ini.first(text, "Match", "PermanentMACAddress"))
    names: list[str | None] = [*ini.values(text, "Match", "Name")]
    for name in names or [None]:
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
