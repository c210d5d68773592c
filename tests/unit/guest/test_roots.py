import pytest

from hyper2kvm.guest.description import BlockDevice
from hyper2kvm.guest.devices import DeviceNames
from hyper2kvm.guest.roots import Root, choose
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.machine import DiskBus, Machine, MachineDisk
from hyper2kvm_api.reasons import Reason

GIB = 1 << 30
NAMES = DeviceNames(
    Machine(
        name="web01",
        memory=GIB,
        disks=(MachineDisk(id="ide0:0", bus=DiskBus.IDE, controller=0, unit=0, capacity=GIB, format="raw", file="0"),),
    ),
    [BlockDevice(device="/dev/sda1", disk="ide0:0", partition=1, type="ext4", size=GIB)],
)
FIRST = Root("/dev/sda1", "/dev/sda1", claimed=False)
SECOND = Root("/dev/vg/root", "/dev/vg/root", claimed=True)
SNAPSHOT = Root("btrfsvol:/dev/sdb1/old", "/dev/sdb1", claimed=False)
CURRENT = Root("btrfsvol:/dev/sdb1/@", "/dev/sdb1", claimed=True)


@pytest.mark.parametrize(
    ("roots", "wanted", "expected"),
    [
        ([FIRST], None, FIRST),
        ([FIRST, SECOND], None, SECOND),
        ([SNAPSHOT, CURRENT], None, CURRENT),
        ([FIRST, SECOND], "/dev/sda1", FIRST),
        ([FIRST, SECOND], "/dev/hda1", FIRST),
        ([FIRST, SNAPSHOT, CURRENT], "/dev/sdb1", CURRENT),
    ],
)
def test_the_root_is_the_only_one_or_the_one_that_says_so_or_that_is_asked_for(roots, wanted, expected):
    assert choose(roots, wanted, NAMES) == expected


@pytest.mark.parametrize("roots", [[FIRST, SNAPSHOT], [SECOND, CURRENT]])
def test_several_that_nothing_tells_apart_are_an_error_that_lists_them(roots):
    with pytest.raises(GuestError, match="2 operating systems") as caught:
        choose(roots, None, NAMES)
    assert caught.value.reason is Reason.MULTIPLE_OPERATING_SYSTEMS
    assert f"spec.guest.root: {roots[0].device}, {roots[1].device}" in caught.value.hint


def test_a_choice_without_a_system_is_an_error_that_lists_what_may_be_chosen():
    with pytest.raises(GuestError, match="/dev/sdz1, which holds no operating system") as caught:
        choose([FIRST, SECOND], "/dev/sdz1", NAMES)
    assert caught.value.reason is Reason.NO_OPERATING_SYSTEM
    assert "/dev/sda1, /dev/vg/root" in caught.value.hint
