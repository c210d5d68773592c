from dataclasses import replace

import pytest

from hyper2kvm.guest.description import BlockDevice
from hyper2kvm.guest.fixer import Situation
from hyper2kvm.guest.linux import mdadm
from hyper2kvm.guest.linux.mdadmdevices import FIXER, renamed
from hyper2kvm_api.options import GuestOptions, TargetBus

from .situations import GIB, memory, plan, situation

CONF = "/etc/mdadm/mdadm.conf"
UUID = "UUID=3f7a0c11:9e5d2b64:c0de1a2b:77f3e901"


def with_members(**given: object) -> Situation:
    """A guest with an array of a partition on each of its disks."""
    found = situation(**given)
    members = tuple(
        BlockDevice(
            device=f"/dev/sd{letter}1",
            disk=f"scsi0:{unit}",
            partition=1,
            type="linux_raid_member",
            part_uuid=f"0000{letter * 4}-01",
            size=GIB,
        )
        for unit, letter in enumerate("ab")
    )
    array = BlockDevice(device="/dev/md127", type="ext4", size=GIB, raid_uuid=UUID.removeprefix("UUID="))
    return replace(found, guest=found.guest.replaced(devices=(*members, array)))


def fixed(text: str, **given: object) -> str:
    return plan(FIXER, memory({CONF: text}), with_members(**given)).text(CONF)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("DEVICE /dev/sda1 /dev/sdb1\n", "DEVICE partitions containers\n"),
        ("DEVICE /dev/sd*\n", "DEVICE partitions containers\n"),
        ("DEVICE /dev/sda1 '/dev/sdb1'\r\n", "DEVICE partitions containers\r\n"),
        ("Devices /dev/sda1\n", "Devices partitions containers\n"),
        ("dev\t/dev/[hs]d[a-z]1", "dev\tpartitions containers"),
        ("DEVICE /dev/disk/by-path/pci* # disks\n", "DEVICE partitions containers # disks\n"),
        ("DEVICE /dev/sda1 # first\n  /dev/sdb1 # second\n", "DEVICE partitions containers # first\n  # second\n"),
        ("DEVICE /dev/sda1\n# more\n\n\t/dev/sdb1\nMAILADDR x\n", "DEVICE partitions containers\n# more\nMAILADDR x\n"),
        ("DEVICE /dev/vda1 /dev/sdb1\n", "DEVICE partitions containers\n"),
        ("DEVICE /dev/sda1\nDEVICE /dev/sdb1\n", "DEVICE partitions containers\nDEVICE partitions containers\n"),
        ("DEVICE /dev/vda*\n", "DEVICE partitions containers\n"),
    ],
)
def test_disks_are_no_longer_looked_for_by_their_old_names(before, after):
    assert fixed(before) == after


@pytest.mark.parametrize(
    "text",
    [
        "DEVICE partitions\n",
        "DEVICE partitions containers /dev/sda1\n",
        "DEVICE /dev/sda1\nDEVICE partitions\n",
        "DEVICE /dev/vd*\n",
        "DEVICE /dev/[sv]d[ab]1\n",
        "DEVICE /dev/disk/by-partuuid/0000aaaa-01 /dev/disk/by-partuuid/0000bbbb-01\n",
        "#DEVICE /dev/sda1\n",
        "DEVICE\n",
        f"ARRAY /dev/md0 metadata=1.2 name=web01:0 {UUID}\n",
        f"ARRAY /dev/md0 {UUID} devices=/dev/vd[ab]1\n",
        f"ARRAY /dev/md0 {UUID} # devices=/dev/sda1\n",
        "ARRAY /dev/md0 devices=/dev/disk/by-partuuid/0000aaaa-01,/dev/mapper/x\n",
        "HOMEHOST <system>\nMAILADDR root\n",
    ],
)
def test_what_names_the_new_disks_too_stays(text):
    draft = plan(FIXER, memory({CONF: text}), with_members())
    assert (draft.edits(), draft.findings) == ((), [])
    assert draft.notes == [f"{CONF} names no disk that changes with the controller"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"ARRAY /dev/md0 {UUID} devices=/dev/sda1,/dev/sdb1\n", f"ARRAY /dev/md0 {UUID}\n"),
        (f"array /dev/md0 devices=/dev/sd[ab]1 level=1 {UUID}\n", f"array /dev/md0 level=1 {UUID}\n"),
        ("ARRAY /dev/md/0 name=web01:0\n   devices=/dev/sda1,/dev/sdb1\n", "ARRAY /dev/md/0 name=web01:0\n"),
        (f"ARRAY /dev/md0 # root\n  devices=/dev/sda1 {UUID}\n", f"ARRAY /dev/md0 # root\n  {UUID}\n"),
        (f"ARRAY devices=/dev/sda1 {UUID}\n", f"ARRAY {UUID}\n"),
    ],
)
def test_an_array_with_an_identity_needs_no_names_of_disks(before, after):
    assert fixed(before) == after


def test_an_array_without_an_identity_is_a_warning():
    text = "# arrays\nARRAY /dev/md0\n  level=1 devices=/dev/sda1,/dev/sdb1\n"
    draft = plan(FIXER, memory({CONF: text}), with_members())
    assert draft.edits() == ()
    (finding,) = draft.findings
    assert finding.reason == "DeviceNameStays"
    assert f"{CONF} line 3" in finding.message
    assert "UUID=" in finding.hint


def test_reasons_say_what_was_named():
    text = f"DEVICE /dev/sda1 /dev/sdb1\nARRAY /dev/md0 {UUID} devices=/dev/sda1,/dev/sdb1\n"
    (edit,) = plan(FIXER, memory({CONF: text}), with_members()).edits()
    assert edit.reasons == (
        "mdadm looks for arrays on /dev/sda1, /dev/sdb1 only, and the new controller's disks have other names",
        f"devices=/dev/sda1,/dev/sdb1 names disks that change with the controller; {UUID} identifies the array",
    )


def test_patterns_that_fit_the_new_controller_stay_and_names_of_disks_do_not():
    assert fixed("DEVICE /dev/sd*\n", bus=TargetBus.SCSI) == "DEVICE /dev/sd*\n"
    assert fixed("DEVICE /dev/sda1 /dev/sdb1\n", bus=TargetBus.SCSI) == "DEVICE partitions containers\n"


@pytest.mark.parametrize("place", ["/etc/mdadm.conf", f"{CONF}.d/disks.conf", "/etc/mdadm.conf.d/disks.conf"])
def test_every_file_that_mdadm_reads_is_looked_into(place):
    draft = plan(FIXER, memory({place: "DEVICE /dev/sda1\n"}), with_members())
    assert draft.text(place) == "DEVICE partitions containers\n"


def test_a_guest_without_arrays_is_left_alone():
    assert plan(FIXER, memory({CONF: "DEVICE /dev/sda1\n"})).edits() == ()


def test_bytes_that_are_not_utf_8_stay():
    draft = plan(FIXER, memory({CONF: b"# caf\xe9\nDEVICE /dev/sda1\n"}), with_members())
    assert draft.read(CONF) == b"# caf\xe9\nDEVICE partitions containers\n"


def test_the_option_switches_it_off():
    assert FIXER.wanted(situation())
    assert not FIXER.wanted(situation(options=GuestOptions(stable_device_names=False)))


def test_words_are_read_as_mdadm_reads_them():
    text = "ARRAY \"/dev/md/my data\" name='a b' # no word\n\n# none\n  level=1 x#y\nMAILADDR root\n"
    assert [[word.value for word in line] for line in mdadm.lines(text)] == [
        ["ARRAY", "/dev/md/my data", "name=a b", "level=1", "x#y"],
        ["MAILADDR", "root"],
    ]
    assert all(text[word.start : word.end].strip("\"'")[:1] for line in mdadm.lines(text) for word in line)


def test_nothing_is_unknown_where_nothing_is_named():
    assert renamed("", with_members()).unknown == ()
