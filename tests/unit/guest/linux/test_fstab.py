from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyper2kvm.guest.linux import fstab
from hyper2kvm.guest.linux.fstab import FIXER
from hyper2kvm.guest.linux.renaming import DeviceRenaming
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.options import GuestOptions, TargetBus
from hyper2kvm_api.reasons import Reason

from .situations import BY_PATH, DATA, ROOT, SWAP, memory, plan, situation

INSTALLED = f"""# /etc/fstab: static file system information.
#
# <file system> <mount point>   <type>  <options>       <dump>  <pass>
/dev/sda1\t/               ext4    errors=remount-ro 0       1
# swap was on /dev/sda5 during installation
UUID={SWAP} none            swap    sw              0       0
{BY_PATH.format(1, 1)} /srv/my\\040data ext4 defaults,nofail 0 2
/dev/sr0        /media/cdrom0   udf,iso9660 user,noauto     0       0
#/dev/sdb1 /old ext3 defaults 0 0
/dev/mapper/vg0-home /home ext4 defaults 0 2
"""


def fixed(text: str | bytes, **given: object) -> str:
    guest = memory({"/etc/fstab": text if isinstance(text, bytes) else text.encode()})
    return plan(FIXER, guest, situation(**given)).text("/etc/fstab")


def test_live_entries_are_parsed():
    entries = fstab.parse(INSTALLED)
    assert [entry.path for entry in entries] == ["/", "none", "/srv/my data", "/media/cdrom0", "/home"]
    assert (entries[0].spec, entries[0].options) == ("/dev/sda1", ("errors=remount-ro",))
    assert entries[0].line == 4


@pytest.mark.parametrize(
    ("line", "rest"),
    [
        ("/dev/sda1 /", ("auto", ("defaults",))),
        ("/dev/sda1 / xfs", ("xfs", ("defaults",))),
        ("/dev/sda1 / xfs ro x y", ("xfs", ("ro",))),
        ("  /dev/sda1\t/ xfs ro,noatime 1 2 more\r", ("xfs", ("ro", "noatime"))),
    ],
)
def test_fields_that_are_absent_have_their_defaults(line, rest):
    (entry,) = fstab.parse(line)
    assert (entry.type, entry.options) == rest


@pytest.mark.parametrize("line", ["", "# /dev/sda1 / ext4", "   #x y", "alone", "\t"])
def test_lines_that_mount_nothing_are_no_entries(line):
    assert fstab.parse(line) == ()


def test_moving_names_become_uuids_and_nothing_else_changes():
    before, after = INSTALLED.split("\n"), fixed(INSTALLED).split("\n")
    changed = {number for number, pair in enumerate(zip(before, after, strict=True), 1) if pair[0] != pair[1]}
    assert changed == {4, 7}
    assert after[3] == f"UUID={ROOT}\t/               ext4    errors=remount-ro 0       1"
    assert after[6] == f"UUID={DATA} /srv/my\\040data ext4 defaults,nofail 0 2"


def test_line_ends_other_encodings_and_a_missing_last_newline_stay():
    text = b"# caf\xe9\r\n/dev/sda1 / ext4 defaults 0 1\r\n/dev/sda5 none swap sw 0 0"
    draft = plan(FIXER, memory({"/etc/fstab": text}))
    assert draft.read("/etc/fstab") == (
        f"UUID={ROOT} / ext4 defaults 0 1\r\nUUID={SWAP} none swap sw 0 0".encode().join([b"# caf\xe9\r\n", b""])
    )


def test_reasons_say_what_the_device_will_be_called():
    draft = plan(FIXER, memory({"/etc/fstab": b"/dev/sda1 / ext4\n/dev/sdb1 /srv ext4\n"}))
    (edit,) = draft.edits()
    assert edit.reasons == (
        "/dev/sda1 is called /dev/vda1 on the new controller; the UUID does not change",
        "/dev/sdb1 is called /dev/vdb1 on the new controller; the UUID does not change",
    )


def test_a_device_without_ids_is_named_by_its_serial_number():
    assert fixed("/dev/sdb2 /x auto\n") == "/dev/disk/by-id/virtio-h2kvm0000disk1-part2 /x auto\n"
    assert fixed("/dev/sdb2 /x auto\n", bus=TargetBus.SCSI).startswith("/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_h2kvm")


@pytest.mark.parametrize("link", ["dm-uuid-LVM-" + "a" * 64, "md-uuid-3f7a0c11:9e5d2b64:c0de1a2b:77f3e901"])
def test_links_that_ubuntus_installer_writes_stay(link):
    text = f"/dev/disk/by-id/{link} / ext4 defaults 0 1\n"
    draft = plan(FIXER, memory({"/etc/fstab": text}))
    assert (draft.edits(), draft.findings) == ((), [])


def test_a_file_that_needs_nothing_is_left_alone_with_a_note():
    draft = plan(FIXER, memory({"/etc/fstab": f"UUID={ROOT} / ext4\n".encode()}))
    assert draft.edits() == ()
    assert draft.notes == ["/etc/fstab names no device that changes with the controller"]


def test_a_guest_without_fstab_needs_nothing():
    assert plan(FIXER, memory({})).edits() == ()


def test_a_root_on_an_unknown_name_is_the_root_that_was_found():
    assert fixed("/dev/sdc1 / ext4\n") == f"UUID={ROOT} / ext4\n"


def test_the_root_is_the_one_that_was_found_whatever_its_letter_means_by_the_order_of_disks():
    text = "/dev/sdb1 / ext4\n/dev/sda5 none swap sw\n"
    assert fixed(text) == f"UUID={ROOT} / ext4\nUUID={SWAP} none swap sw\n"
    assert fixed("/dev/sdb1 / ext4\n", root=None) == f"UUID={DATA} / ext4\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [(INSTALLED, "/dev/sda1"), ("UUID=1 / ext4\n/dev/sda1 / ext4\n", "UUID=1"), ("/dev/sda1 /srv ext4\n", None)],
)
def test_the_roots_name_is_that_of_its_first_entry(text, expected):
    assert fstab.root_name(text) == expected


def test_a_root_that_nothing_is_known_of_is_an_error():
    with pytest.raises(GuestError, match=r"line 1: /dev/sdc1 on / is on none") as caught:
        fixed("/dev/sdc1 / ext4\n", root=None)
    assert caught.value.reason is Reason.GUEST_FILE_INVALID
    assert "UUID=" in caught.value.hint
    assert caught.value.file == "/etc/fstab"


def test_a_device_that_is_not_there_is_a_warning_unless_it_may_be_absent():
    text = b"/dev/sdc1 /srv ext4 defaults\n/dev/sdd1 /mnt ext4 noauto\n/dev/sde1 /x ext4 nofail\n"
    draft = plan(FIXER, memory({"/etc/fstab": text}))
    (finding,) = draft.findings
    assert finding.reason == "DeviceNotFound"
    assert "/dev/sdc1 on /srv" in finding.message
    assert "nofail" in finding.hint
    assert draft.edits() == ()


@pytest.mark.parametrize(
    ("line", "after"),
    [
        (
            "/dev/sda1 / xfs logdev=/dev/sdb1,ro 0 1",
            f"UUID={ROOT} / xfs logdev=/dev/disk/by-uuid/{DATA},ro 0 1",
        ),
        (
            "UUID=1 /srv ext4 journal_path=/dev/sdb1 0 2",
            f"UUID=1 /srv ext4 journal_path=/dev/disk/by-uuid/{DATA} 0 2",
        ),
        (
            "UUID=1 /srv btrfs device=/dev/sda1,device=/dev/sdb1,subvol=@ 0 0",
            "UUID=1 /srv btrfs device=/dev/disk/by-partuuid/0000aaaa-01,device=/dev/disk/by-partuuid/0000bbbb-01,subvol=@ 0 0",
        ),
        (
            f"UUID=1 /x ext4 x-systemd.requires={BY_PATH.format(1, 1)},ro 0 2",
            f"UUID=1 /x ext4 x-systemd.requires=/dev/disk/by-uuid/{DATA},ro 0 2",
        ),
        ("UUID=1 /x ext4 journal_path=/dev/mapper/vg-log", "UUID=1 /x ext4 journal_path=/dev/mapper/vg-log"),
    ],
)
def test_devices_in_options_are_paths_that_stay(line, after):
    assert fixed(f"{line}\n") == f"{after}\n"


def test_a_device_in_options_that_is_not_there_is_a_warning():
    (finding,) = plan(FIXER, memory({"/etc/fstab": "UUID=1 / xfs logdev=/dev/sdd1 0 1\n"})).findings
    assert finding.reason == "DeviceNotFound"
    assert "line 1: /dev/sdd1 on /" in finding.message


def with_label(label: str) -> str:
    """An entry of a device that has nothing but a label."""
    given = situation()
    devices = tuple(each.replaced(label=label) if each.device == "/dev/sdb2" else each for each in given.guest.devices)
    labelled = replace(given, guest=given.guest.replaced(devices=devices))
    return fstab.renamed("/dev/sdb2 /srv auto", DeviceRenaming(labelled)).text


def test_names_are_bytes_of_which_four_are_escaped():
    """A character of several bytes is written byte by byte by some programs, and is never escaped as one number."""
    (entry,) = fstab.parse(r"LABEL=caf\303\251\040\134x /srv/em\342\200\203space auto")
    assert entry.spec == "LABEL=caf\u00e9 \\x"
    assert entry.path == "/srv/em\u2003space"
    assert with_label("em\u2003 \t\\") == "LABEL=em\u2003\\040\\011\\134 /srv auto"


def test_blanks_and_tabs_alone_separate_fields():
    (entry,) = fstab.parse("LABEL=a\u00a0b\u2003c /srv auto")
    assert (entry.spec, entry.path) == ("LABEL=a\u00a0b\u2003c", "/srv")


@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=12))
def test_every_label_survives_writing_and_reading(label):
    if "\r" not in label:
        assert fstab.parse(with_label(label))[0].spec == f"LABEL={label}"


def test_the_option_switches_it_off():
    assert FIXER.wanted(situation())
    assert not FIXER.wanted(situation(options=GuestOptions(stable_device_names=False)))


@given(
    st.lists(
        st.sampled_from(["/dev/sda1 / ext4", "/dev/sdb1\t/srv xfs ro 0 2", "# /dev/sda5 x", "", "tmpfs /tmp tmpfs"])
    )
)
def test_a_second_plan_finds_nothing_to_do(lines):
    plan(FIXER, memory({"/etc/fstab": "\n".join(lines).encode()}))
