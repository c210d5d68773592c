from hyper2kvm.guest.linux import ifupdown

from .situations import memory

INTERFACES = """\
# This file describes the network interfaces available on your system
source /etc/network/interfaces.d/*

# The loopback network interface
auto lo
iface lo inet loopback

# The primary network interface
allow-hotplug ens192
iface ens192 inet static
\taddress 192.0.2.10
\tnetmask 255.255.255.0
\tgateway 192.0.2.1
iface ens192 inet6 static
\taddress 2001:db8::10/64
auto ens192:1
iface ens192:1 inet static
\taddress 192.0.2.11/24
auto ens224.10
iface ens224.10 inet dhcp
auto storage
iface storage inet static
\taddress 198.51.100.2/24
\tbond-slaves ens256 \\
\t            ens161
auto br0
iface br0 inet manual
\tbridge_ports none
"""


def found(files: dict[str, str]) -> list[tuple[object, ...]]:
    guest = memory({path: text.encode() for path, text in files.items()})
    return [(i.name, i.addresses, i.dhcp, i.virtual) for i in ifupdown.find(guest)]


def test_addresses_members_and_kinds_are_found():
    assert found({"/etc/network/interfaces": INTERFACES}) == [
        ("lo", (), False, True),
        ("ens192", ("192.0.2.10/24",), False, False),
        ("ens192", ("2001:db8::10/64",), False, False),
        ("ens192", ("192.0.2.11/24",), False, False),
        ("ens224.10", (), True, True),
        ("ens224", (), False, False),
        ("storage", ("198.51.100.2/24",), False, True),
        ("ens256", (), False, False),
        ("ens161", (), False, False),
        ("br0", (), False, True),
    ]


def test_included_files_are_read():
    files = {
        "/etc/network/interfaces": "source interfaces.d/*.cfg\nsource-directory /etc/network/more\n",
        "/etc/network/interfaces.d/a.cfg": "iface ens192 inet dhcp\n",
        "/etc/network/interfaces.d/a.bak": "iface eth9 inet dhcp\n",
        "/etc/network/more/lan": "iface ens224 inet dhcp\n",
        "/etc/network/more/lan.dpkg-old": "iface eth8 inet dhcp\n",
    }
    assert [row[0] for row in found(files)] == ["ens192", "ens224"]


def test_files_that_include_each_other_are_read_once():
    files = {
        "/etc/network/interfaces": "source /etc/network/b\niface ens192 inet dhcp\n",
        "/etc/network/b": "source /etc/network/interfaces\niface ens224 inet dhcp\n",
    }
    assert sorted(row[0] for row in found(files)) == ["ens192", "ens224"]


def test_lines_that_are_no_stanza_do_no_harm():
    assert found(
        {"/etc/network/interfaces": "iface\naddress x\nsource\nmapping eth*\n map a\niface e0 inet\n address no\n"}
    ) == [("e0", (), False, False)]
    assert found({}) == []
