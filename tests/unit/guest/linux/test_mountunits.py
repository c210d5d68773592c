from hyper2kvm.guest.linux.mountunits import FIXER

from .situations import DATA, memory, plan

UNIT = "/etc/systemd/system/srv-data.mount"


def test_a_mount_unit_names_its_device_by_id():
    text = "[Unit]\nAfter=x\n[Mount]\nWhat=/dev/sdb1\nWhere=/srv/data\n"
    draft = plan(FIXER, memory({UNIT: text}))
    assert draft.text(UNIT) == text.replace("/dev/sdb1", f"/dev/disk/by-uuid/{DATA}")


def test_devices_in_a_mount_units_options_stay_too():
    text = "[Mount]\nWhat=/dev/mapper/vg-srv\nWhere=/srv\nOptions=logdev=/dev/sdb1,ro\n"
    draft = plan(FIXER, memory({UNIT: text}))
    assert draft.text(UNIT) == text.replace("/dev/sdb1", f"/dev/disk/by-uuid/{DATA}")


def test_a_device_that_is_not_there_is_a_warning():
    (finding,) = plan(FIXER, memory({UNIT: "[Mount]\nWhat=/dev/sdx1\n"})).findings
    assert finding.reason == "DeviceNotFound"
    assert "line 2: /dev/sdx1" in finding.message
    assert "disable the unit" in finding.hint


def test_a_swap_unit_cannot_be_renamed_and_is_a_warning():
    draft = plan(FIXER, memory({"/etc/systemd/system/dev-sda5.swap": "[Swap]\nWhat=/dev/sda5\n"}))
    assert draft.edits() == ()
    assert draft.findings[0].reason == "SwapUnitMoves"
    assert "UUID=" in draft.findings[0].hint


def test_other_mounts_are_left_alone():
    files = {UNIT: "[Mount]\nWhat=tmpfs\n", "/etc/systemd/system/a.swap": "[Swap]\nWhat=/swapfile\n"}
    draft = plan(FIXER, memory(files))
    assert draft.edits() == ()
    assert draft.findings == []
