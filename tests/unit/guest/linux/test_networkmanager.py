import pytest

from hyper2kvm.guest.linux import networkmanager
from hyper2kvm.guest.linux.interface import Chosen, Trait

from .situations import memory

FOLDER = "/etc/NetworkManager/system-connections"
WIRED = """\
[connection]
id=Wired connection 1
type=ethernet
interface-name=ens192

[ethernet]
mac-address=00:50:56:AA:00:01

[ipv4]
method=manual
address1=192.0.2.10/24,192.0.2.1
address2=192.0.2.11/24

[ipv6]
method=auto
"""


def found(files: dict[str, str]) -> list:
    return list(networkmanager.find(memory({f"{FOLDER}/{n}": t.encode() for n, t in files.items()})))


def test_a_wired_connection_is_described():
    (wired,) = found({"wired.nmconnection": WIRED})
    assert (wired.name, wired.mac) == ("ens192", "00:50:56:aa:00:01")
    assert wired.addresses == ("192.0.2.10/24", "192.0.2.11/24")
    assert wired.dhcp
    assert not wired.virtual


def test_vlans_are_virtual_and_name_their_parent():
    vlan, parent = found({"v": "[connection]\ntype=vlan\ninterface-name=ens192.5\n[vlan]\nparent=ens192\n"})
    assert vlan.virtual
    assert (parent.name, parent.virtual) == ("ens192", False)


def test_editors_copies_are_passed_over():
    assert found({"a~": WIRED, ".b.swp": WIRED, "c.swp": WIRED}) == []


def test_old_drivers_are_replaced():
    text = "[match]\ndriver=vmxnet3;e1000;\n[other]\ndriver=vmxnet3\n"
    after = networkmanager.rewritten(
        text, lambda _, driver: Chosen(("x",), "virtio_net") if driver == "vmxnet3" else None
    )
    assert after == "[match]\ndriver=virtio_net;e1000;\n[other]\ndriver=vmxnet3\n"
    assert networkmanager.rewritten(text, lambda _, driver: None) == text


def chosen(trait: Trait, _: str) -> Chosen | None:
    return None if trait is Trait.DRIVER else Chosen(("52:54:00:aa:00:01",), "virtio_net")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "[ethernet]\n\n[match]\npath=pci-0000:0b:00.0;\ndriver=x;\n",
            "[ethernet]\nmac-address=52:54:00:AA:00:01\n\n[match]\n# path=pci-0000:0b:00.0;\ndriver=x;\n",
        ),
        (
            "[match]\npath=pci-0000:0b:00.0\n",
            "[match]\n# path=pci-0000:0b:00.0\n\n[ethernet]\nmac-address=52:54:00:AA:00:01\n",
        ),
        (
            "[802-3-ethernet]\nmac-address=00:50:56:AA:00:01\ncloned-mac-address=00:50:56:AA:00:01\n",
            "[802-3-ethernet]\nmac-address=52:54:00:AA:00:01\ncloned-mac-address=00:50:56:AA:00:01\n",
        ),
    ],
)
def test_places_and_unknown_addresses_become_addresses(before, after):
    assert networkmanager.rewritten(before, chosen) == after
