import pytest

from hyper2kvm.guest.linux import pairing
from hyper2kvm.guest.linux.interface import Interface
from hyper2kvm_api.machine import Nic

FIRST = Nic(id="ethernet0", mac="00:50:56:aa:00:01", model="vmxnet3", slot=192)
SECOND = Nic(id="ethernet1", mac="00:50:56:aa:00:02", model="vmxnet3", slot=224)
NOWHERE = (Nic(id="a", mac="00:50:56:aa:00:03"), Nic(id="b", mac="00:50:56:aa:00:04"))


def named(*names: str, **values: object) -> list[Interface]:
    return [Interface("ifupdown", "/etc/network/interfaces", name, **values) for name in names]


def pairs(interfaces, nics=(FIRST, SECOND)) -> dict[str, str]:
    return {name: nic.id for name, nic in pairing.pair(interfaces, nics).names.items()}


@pytest.mark.parametrize(
    ("name", "slot"), [("eno16777736", 33), ("eno16777984", 160), ("eno16780032", 192), ("eno33554984", 37)]
)
def test_onboard_numbers_hold_the_bus_address(name, slot):
    nics = (Nic(id="other", mac="00:50:56:aa:00:09", slot=256), Nic(id="right", mac="00:50:56:aa:00:08", slot=slot))
    assert pairs(named(name), nics) == {name: "right"}


def test_a_stated_address_decides_first():
    interfaces = [Interface("networkmanager", "x", "ens192", mac=SECOND.mac)]
    assert pairs(interfaces) == {"ens192": "ethernet1"}


def test_the_slot_decides_next():
    assert pairs(named("ens224")) == {"ens224": "ethernet1"}
    assert pairs(named("enp19s0", "ens192")) == {"enp19s0": "ethernet1", "ens192": "ethernet0"}


def test_a_rules_place_on_the_bus_decides_too():
    assert pairs([Interface("udev", "x", "lan", path="0000:13:00.0", binds=True)]) == {"lan": "ethernet1"}


def test_order_decides_when_as_many_are_left_and_is_a_guess():
    found = pairing.pair(named("lan10", "lan9"), NOWHERE)
    assert {name: nic.id for name, nic in found.names.items()} == {"lan9": "a", "lan10": "b"}
    assert found.guessed == ("lan9", "lan10")


def test_a_name_and_an_adapter_that_are_alone_belong_together():
    found = pairing.pair(named("lan"), NOWHERE[:1])
    assert (dict(found.names), found.guessed) == ({"lan": NOWHERE[0]}, ())


def test_names_by_slot_are_ordered_as_vmware_hands_out_slots():
    """ens161 is in the second function of the first port, and came after ens256."""
    nics = tuple(Nic(id=str(number), mac=f"00:50:56:aa:01:0{number}") for number in range(5))
    names = ("ens161", "ens160", "ens256", "ens224", "ens192")
    assert pairs(named(*names), nics) == {"ens160": "0", "ens192": "1", "ens224": "2", "ens256": "3", "ens161": "4"}


@pytest.mark.parametrize("nics", [(FIRST,), NOWHERE[:1]], ids=["by slot", "by order"])
def test_a_stale_name_of_the_kernels_takes_no_adapter_from_another(nics):
    found = pairing.pair(named("eth0", "ens192"), nics)
    assert (dict(found.names), found.unpaired, found.stale) == ({"ens192": nics[0]}, (), ("eth0",))


def test_a_name_may_hold_the_address():
    assert pairs(named("enx005056aa0002", "enx005056aa0001")) == {
        "enx005056aa0001": "ethernet0",
        "enx005056aa0002": "ethernet1",
    }


def test_nothing_is_guessed_when_counts_differ():
    found = pairing.pair(named("lan0"), NOWHERE)
    assert (found.names, found.unpaired) == ({}, ("lan0",))


def test_names_that_are_bound_already_need_nothing():
    interfaces = [*named("lan"), Interface("networkd", "x", "lan", mac=FIRST.mac, binds=True)]
    assert pairs(interfaces, (FIRST,)) == {}


def test_stale_rules_and_software_interfaces_want_no_adapter():
    interfaces = [
        Interface("udev", "x", "eth0", mac="00:00:00:00:00:01", binds=True),
        *named("bond0", virtual=True),
        *named("ens192"),
    ]
    found = pairing.pair(interfaces, (FIRST,))
    assert (dict(found.names), found.unpaired) == ({"ens192": FIRST}, ())


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("en*", ()),
        ("e*", ()),
        ("enp*s0", ()),
        ("ens*", ("ens192", "ens224")),
        ("ens19*", ("ens192",)),
        ("enp1*", ("enp11s0", "enp19s0")),
        ("enp1s*", ()),
        ("eth*", ("eth0", "eth1")),
    ],
)
def test_patterns_stand_for_the_old_names_unless_they_match_all_new_ones(pattern, names):
    assert pairing.expand(pattern, (FIRST, SECOND)) == names


def test_a_pattern_stands_for_the_usual_slots_where_none_are_stated():
    assert pairing.expand("ens*", NOWHERE) == ("ens192", "ens224")


@pytest.mark.parametrize(
    ("names", "paired"),
    [
        (("en*", "eth*"), {}),
        (("eth*", "e*"), {}),
        (("eth[0-9]*", "en*", "ens224"), {"ens224": "ethernet1"}),
        (("eth*",), {"eth0": "ethernet0", "eth1": "ethernet1"}),
        (("ens*", "eth*"), {"ens192": "ethernet0", "ens224": "ethernet1"}),
    ],
)
def test_a_pattern_of_the_kernels_names_means_nothing_where_another_serves_the_new_ones(names, paired):
    assert pairs(named(*names)) == paired


def test_such_a_pattern_is_not_told_where_there_is_no_adapter():
    assert pairing.pair(named("en*", "eth*"), ()) == pairing.Pairing()


@pytest.mark.parametrize(("pattern", "unpaired"), [("lan*", ("lan*",)), ("enp1s*", ("enp1s*",)), ("en*", ())])
def test_a_pattern_that_fits_no_name_is_told(pattern, unpaired):
    assert pairing.pair(named(pattern), (FIRST,)).unpaired == unpaired


def test_a_pattern_that_fits_a_bound_name_is_not():
    interfaces = [*named("lan*"), Interface("networkd", "x", "lan0", mac=FIRST.mac, binds=True)]
    assert pairing.pair(interfaces, (FIRST,)) == pairing.Pairing()


@pytest.mark.parametrize(
    ("driver", "ids"),
    [
        ("vmxnet3", ["ethernet0", "ethernet1"]),
        ("e1000", []),
        ("hv_netvsc", ["ethernet0", "ethernet1"]),
        ("virtio_net", []),
    ],
)
def test_drivers_served_the_adapters_of_their_models(driver, ids):
    assert [nic.id for nic in pairing.by_driver(driver, (FIRST, SECOND))] == ids


def test_paths_are_those_of_the_slots():
    assert pairing.by_path("pci-0000:13:00.0", (FIRST, SECOND)) == SECOND
    assert pairing.by_path("pci-0000:02:01.0", (FIRST, SECOND)) is None
    assert pairing.by_path("pci-0000:02:01.0", (FIRST,)) == FIRST
    assert pairing.by_path("platform-x", (FIRST,)) is None


@pytest.mark.parametrize("name", ["../../etc/x", 'a"b', "a" * 16, "", "."])
def test_names_that_no_interface_has_are_passed_over(name):
    assert pairing.pair(named(name), (FIRST,)) == pairing.Pairing()
