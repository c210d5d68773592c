from hyper2kvm.guest.linux import networkd
from hyper2kvm.guest.linux.interface import Chosen, Trait

from .situations import memory

STATIC = (
    "[Match]\nName=ens192 ens224\n\n[Network]\nAddress=192.0.2.10/24\nDHCP=ipv4\n\n[Address]\nAddress=192.0.2.11/24\n"
)
BY_DRIVER = "[Match]\nDriver=vmxnet3\n[Network]\nDHCP=yes\n"


def found(files: dict[str, str]) -> list:
    return list(networkd.find(memory({f"/etc/systemd/network/{n}": t.encode() for n, t in files.items()})))


def test_networks_are_found_by_each_name():
    first, second = found({"10-lan.network": STATIC})
    assert (first.name, second.name) == ("ens192", "ens224")
    assert first.addresses == ("192.0.2.10/24", "192.0.2.11/24")
    assert first.dhcp
    assert not first.binds


def test_what_netdev_files_make_is_virtual():
    lan, link = found(
        {"a.netdev": "[NetDev]\nName=lan\nKind=bridge\n", "b.network": "[Match]\nName=lan\n", "c.network": BY_DRIVER}
    )
    assert lan.virtual
    assert (link.name, link.driver) == (None, "vmxnet3")


def test_link_files_bind_names():
    (link,) = found({"10-lan.link": "[Match]\nMACAddress=00-50-56-AA-00-01\n[Link]\nName=lan0\n"})
    assert (link.name, link.mac, link.binds) == ("lan0", "00:50:56:aa:00:01", True)


def test_masked_files_say_nothing():
    guest = memory({"/etc/systemd/network/a.network": b""}, links={"/etc/systemd/network/99-default.link": "/dev/null"})
    assert list(networkd.find(guest)) == []


def test_an_interface_is_found_by_each_address():
    text = "[Match]\nMACAddress=00:50:56:aa:00:01 00-50-56-AA-00-02\nPermanentMACAddress=00:50:56:aa:00:03\n"
    assert [each.mac for each in found({"a.network": text})] == [f"00:50:56:aa:00:0{number}" for number in (1, 2, 3)]


def test_a_match_of_all_but_some_names_no_interface():
    (any_,) = found({"a.network": "[Match]\nName=!lo\n[Network]\nDHCP=yes\n"})
    assert any_.name is None


def test_patterns_of_what_software_makes_are_virtual():
    assert [each.virtual for each in found({"a.network": "[Match]\nName=veth* wl* en*\n"})] == [True, True, False]


def test_matches_by_old_hardware_become_addresses():
    text = "[Match]\r\nDriver=vmxnet3\r\nPath=pci-0000:0b:00.0\r\n[Link]\r\nDriver=x\r\n"
    new = Chosen(("52:54:00:00:00:01", "52:54:00:00:00:02"), "virtio_net")
    after = networkd.rewritten(text, lambda trait, _: new if trait is Trait.DRIVER else None)
    assert after == text.replace("Driver=vmxnet3", f"MACAddress={' '.join(new.macs)}")


def test_beside_a_stated_address_an_old_driver_has_no_more_say():
    text = "[Match]\nDriver=vmxnet3\nMACAddress=00:50:56:aa:00:01 00:50:56:aa:00:09\n"
    choice = {"vmxnet3": Chosen(("52:54:00:00:00:01",), "virtio_net"), "00:50:56:aa:00:01": Chosen(("new",), "x")}
    after = networkd.rewritten(text, lambda trait, value: choice.get(value))
    assert after == "[Match]\n# Driver=vmxnet3\nMACAddress=new 00:50:56:aa:00:09\n"
