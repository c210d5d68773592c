"""udev rules that give network interfaces their names (udev(7)), as persistent-net-generator wrote them."""

import re
from collections.abc import Iterator

from hyper2kvm.guest.files import GuestFiles
from hyper2kvm.guest.linux import reading
from hyper2kvm.guest.linux.interface import Choose, Interface, Trait, mac_address

PATTERN = "/etc/udev/rules.d/*.rules"

_NAME = re.compile(r'\bNAME\s*:?=\s*"([^"$%]+)"')
_ADDRESS = re.compile(r'(?P<before>\bATTRS?\{address\}\s*==\s*")(?P<mac>[^"]+)"')
_DRIVERS = re.compile(r'\bDRIVERS?\s*==\s*"([a-z0-9_]+)"')
_KERNELS = re.compile(r'\bKERNELS\s*==\s*"((?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])"')


def find(files: GuestFiles) -> Iterator[Interface]:
    """The interface of every rule for the net subsystem that sets a name."""
    for path, text in reading.texts(files, PATTERN):
        yield from (interface for line in _rules(text) if (interface := _interface(path, line)) is not None)


def rule(mac: str, name: str) -> str:
    """A rule that names the adapter with a MAC address. DRIVERS keeps it off VLANs and bridges, which share MACs."""
    return f'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{{address}}=="{mac}", NAME="{name}"\n'


def rewritten(text: str, choose: Choose) -> str:
    """The text of a file of rules that name adapters with other addresses."""

    def changed(match: re.Match[str]) -> str:
        stated = mac_address(match["mac"])
        new = choose(Trait.MAC, stated) if stated else None
        return f'{match["before"]}{new.macs[0]}"' if new else match[0]

    lines = text.split("\n")
    return "\n".join(line if line.lstrip().startswith("#") else _ADDRESS.sub(changed, line) for line in lines)


def _rules(text: str) -> Iterator[str]:
    for line in text.replace("\\\n", " ").split("\n"):
        if not line.lstrip().startswith("#") and '"net"' in line:
            yield line


def _interface(path: str, line: str) -> Interface | None:
    name = _NAME.search(line)
    if name is None:
        return None
    address, drivers, kernels = _ADDRESS.search(line), _DRIVERS.search(line), _KERNELS.search(line)
    return Interface(
        "udev",
        path,
        name[1],
        mac=mac_address(address["mac"]) if address else None,
        driver=drivers[1] if drivers else None,
        path=kernels[1] if kernels else None,
        binds=True,
    )
