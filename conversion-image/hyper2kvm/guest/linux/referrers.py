"""Firewalls and daemons that name interfaces which the network's configuration knows by MAC address, or not at all."""

import re
from collections.abc import Iterator, Sequence

from hyper2kvm.guest.files import GuestFiles
from hyper2kvm.guest.linux import pairing, reading
from hyper2kvm_api.machine import Nic

FILES = (
    "/etc/nftables.conf",
    "/etc/iptables/rules.v[46]",
    "/etc/ufw/*.rules",
    "/etc/keepalived/keepalived.conf",
    "/etc/default/isc-dhcp-server",
    "/etc/dnsmasq.conf",
    "/etc/frr/frr.conf",
)
"""What is looked into: each of them refuses to start, or lets in what it should not, where an interface has another name."""

_WORD = re.compile(r"(?<![\w.-])en[a-z0-9]+(?![\w-])")
_SILENT = ("#", "!")


def find(files: GuestFiles, nics: Sequence[Nic]) -> Iterator[tuple[str, Nic]]:
    """The names in those files whose form states the old place of one of the adapters, with the adapter."""
    for pattern in FILES:
        for _, text in reading.texts(files, pattern):
            lines = (line for line in text.split("\n") if not line.lstrip().startswith(_SILENT))
            for name in dict.fromkeys(word for line in lines for word in _WORD.findall(line)):
                nic = pairing.by_name(name, nics)
                if nic is not None:
                    yield name, nic
