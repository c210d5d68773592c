import pytest

from hyper2kvm.guest.linux import interface


@pytest.mark.parametrize(
    "name", ["lo", "bond0", "bond-lan", "br0", "virbr0", "docker0", "ens192.10", "vlan5", "wg0", "wlp3s0", "veth1"]
)
def test_names_of_software_are_known(name):
    assert interface.is_software(name)


@pytest.mark.parametrize("name", ["ens192", "eth0", "enp11s0", "eno16780032", "lan0", "storage", "enX0"])
def test_names_of_adapters_are_not(name):
    assert not interface.is_software(name)


@pytest.mark.parametrize(
    ("text", "mac"),
    [
        ("00:50:56:AA:00:01", "00:50:56:aa:00:01"),
        ('"00-50-56-aa-00-01"', "00:50:56:aa:00:01"),
        ("00:50:56:aa:00", None),
        ("00:50:56:aa:00:*", None),
        (None, None),
    ],
)
def test_addresses_are_read_in_every_notation(text, mac):
    assert interface.mac_address(text) == mac


@pytest.mark.parametrize(
    ("address", "netmask", "expected"),
    [
        ("192.0.2.1", "255.255.255.0", "192.0.2.1/24"),
        ("192.0.2.1", "24", "192.0.2.1/24"),
        ("192.0.2.1/25", "255.255.255.0", "192.0.2.1/25"),
        ("192.0.2.1", None, "192.0.2.1/32"),
        ("2001:db8::1", "64", "2001:db8::1/64"),
        ("host", None, None),
        ("192.0.2.1", "no", None),
    ],
)
def test_addresses_have_their_prefix_length(address, netmask, expected):
    assert interface.with_prefix(address, netmask) == expected
