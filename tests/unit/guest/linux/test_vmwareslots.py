import pytest

from hyper2kvm.guest.linux import vmwareslots


@pytest.mark.parametrize(
    ("slot", "names"),
    [
        (192, ("ens192", "enp11s0")),
        (160, ("ens160", "enp3s0")),
        (224, ("ens224", "enp19s0")),
        (256, ("ens256", "enp27s0")),
        (33, ("ens33", "enp2s1")),
        (1184, ("ens161", "enp4s0")),
        (1216, ("ens193", "enp12s0")),
        (5, ("ens5",)),
    ],
)
def test_slots_give_the_names_that_guests_of_vmware_know(slot, names):
    assert vmwareslots.names(slot) == names
    assert all(vmwareslots.is_named(name, slot) for name in names)


def test_the_kernel_finds_adapters_by_bus_and_not_by_slot():
    """The fifth adapter, in slot 1184, stands on bus 4: before the first one's bus 11."""
    assert sorted((192, 224, 256, 1184, 33), key=vmwareslots.found_at) == [33, 1184, 192, 224, 256]


def test_names_sort_as_slots_are_handed_out():
    names = ["ens161", "ens256", "ens160", "ens193", "ens192", "ens224", "ens33", "ens34"]
    assert sorted(names, key=lambda name: vmwareslots.given_at(name) or (9, 9)) == [
        *("ens33", "ens34", "ens160", "ens192", "ens224", "ens256", "ens161", "ens193"),
    ]
    assert vmwareslots.given_at("eth0") is None
