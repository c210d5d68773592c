import subprocess

import pytest

from hyper2kvm.guest.linux.lvmdevices import DEVICES_FILE, FIXER, hardware_ids, switched_off

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


@pytest.mark.parametrize(
    "local", ["", "# none", "devices {\n\tuse_devicesfile = 1\n\tscan_lvs = 1\n}\n", "devices { scan_lvs=1 }\n"]
)
def test_lvm_itself_uses_no_list_where_it_is_switched_off(tmp_path, local):
    (tmp_path / "lvm.conf").write_text("devices {\n\tuse_devicesfile = 1\n}\n")
    (tmp_path / "lvmlocal.conf").write_text(switched_off(local))
    environment = {"LVM_SYSTEM_DIR": str(tmp_path), "PATH": "/usr/sbin:/sbin"}
    asked = ["lvmconfig", "devices/use_devicesfile", "devices/scan_lvs", "--type", "full"]
    done = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["use_devicesfile=0", f"scan_lvs={int('scan_lvs' in local)}"]
    assert done.stderr == ""
    assert switched_off(switched_off(local)) == switched_off(local)
