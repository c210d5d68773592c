import pytest

from hyper2kvm.guest.linux.grub import DEBCONF, DEFAULTS, DEVICE_MAP, FIXER
from hyper2kvm_api.options import TargetBus

from .situations import memory, plan, situation

CONFIG_DAT = """\
Name: debconf/priority
Template: debconf/priority
Value: high
Owners: d-i

Name: grub-pc/install_devices
Template: grub-pc/install_devices
Value: /dev/sda
Owners: grub-pc
Flags: seen
Variables:
 CHOICES = /dev/sda (42949 MB; Virtual_disk)
 RAW_CHOICES = /dev/sda

Name: tzdata/Zones/Etc
Value: UTC
"""


@pytest.mark.parametrize("target", ["/dev/sda", "/dev/disk/by-id/scsi-36000c29"])
def test_a_device_map_of_moving_names_goes(target):
    draft = plan(FIXER, memory({DEVICE_MAP: f"(hd0)\t{target}\n".encode()}))
    assert [(edit.kind, edit.path) for edit in draft.edits()] == [("Remove", DEVICE_MAP)]


def test_a_device_map_of_other_names_stays():
    assert plan(FIXER, memory({DEVICE_MAP: b"# (hd0) /dev/sda\n(hd0) /dev/mapper/mpatha\n"})).edits() == ()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("GRUB_DISABLE_LINUX_UUID=true\n", "GRUB_DISABLE_LINUX_UUID=false\n"),
        ('  GRUB_DISABLE_LINUX_UUID="true" # x', '  GRUB_DISABLE_LINUX_UUID="false" # x'),
        ("#GRUB_DISABLE_LINUX_UUID=true\n", "#GRUB_DISABLE_LINUX_UUID=true\n"),
        ("GRUB_DISABLE_LINUX_UUID=false\n", "GRUB_DISABLE_LINUX_UUID=false\n"),
    ],
)
def test_the_next_menu_is_made_with_uuids(before, after):
    assert plan(FIXER, memory({DEFAULTS: before.encode()})).text(DEFAULTS) == after


@pytest.mark.parametrize(
    ("bus", "name"),
    [
        (TargetBus.VIRTIO, "/dev/disk/by-id/virtio-h2kvm0000disk0"),
        (TargetBus.SCSI, "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_h2kvm0000disk0"),
        (TargetBus.SATA, "/dev/disk/by-id/ata-QEMU_HARDDISK_h2kvm0000disk0"),
    ],
)
def test_grubs_next_upgrade_installs_to_the_new_boot_disk(bus, name):
    draft = plan(FIXER, memory({DEBCONF: CONFIG_DAT.encode()}), situation(bus=bus))
    assert draft.text(DEBCONF) == CONFIG_DAT.replace("Value: /dev/sda\n", f"Value: {name}\n")
    assert draft.edits()[0].reasons == (
        "GRUB's next upgrade installs it to the boot disk, which is no longer /dev/sda",
    )


def test_an_answer_with_several_devices_keeps_the_lasting_ones():
    text = CONFIG_DAT.replace("Value: /dev/sda\n", "Value: /dev/mapper/x, /dev/sda\n")
    assert "Value: /dev/mapper/x, /dev/disk/by-id/virtio-" in plan(FIXER, memory({DEBCONF: text.encode()})).text(
        DEBCONF
    )


def test_a_guest_without_grub_needs_nothing():
    assert plan(FIXER, memory({})).edits() == ()
