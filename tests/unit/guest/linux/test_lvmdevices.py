from hyper2kvm.guest.linux.lvmdevices import DEVICES_FILE, FIXER, hardware_ids

from .situations import memory, plan

SYSTEM_DEVICES = """\
# LVM uses devices listed in this file.
# Created by LVM command lvmdevices pid 1 at Mon Jan  1 00:00:00 2024
VERSION=1.1.2
IDTYPE=sys_wwid IDNAME=naa.6000c29abc DEVNAME=/dev/sda2 PVID=abc PART=2
IDTYPE=devname IDNAME=/dev/sdb DEVNAME=/dev/sdb PVID=def
"""


def test_ids_of_the_hardware_are_told_from_lasting_ones():
    assert hardware_ids(SYSTEM_DEVICES) == ("sys_wwid", "devname")
    assert hardware_ids("IDTYPE=md_uuid IDNAME=x\nIDTYPE=crypt_uuid IDNAME=y\n# IDTYPE=devname\n") == ()


def test_a_list_of_hardware_goes():
    draft = plan(FIXER, memory({DEVICES_FILE: SYSTEM_DEVICES.encode()}))
    (edit,) = draft.edits()
    assert (edit.kind, edit.path) == ("Remove", DEVICES_FILE)
    assert "sys_wwid and devname" in edit.reasons[0]


def test_a_list_of_lasting_ids_stays():
    draft = plan(FIXER, memory({DEVICES_FILE: b"IDTYPE=md_uuid IDNAME=x\n"}))
    assert draft.edits() == ()
    assert draft.notes
