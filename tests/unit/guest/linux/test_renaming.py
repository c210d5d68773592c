import subprocess

import pytest

from hyper2kvm.guest.linux.renaming import DeviceRenaming, StableName
from hyper2kvm_api.options import TargetBus

from .situations import BY_PATH, DATA, ROOT, situation


@pytest.mark.parametrize(
    ("name", "spec", "new_name"),
    [
        ("/dev/sda1", f"UUID={ROOT}", "/dev/vda1"),
        ("/dev/sdb1", f"UUID={DATA}", "/dev/vdb1"),
        (BY_PATH.format(1, 1), f"UUID={DATA}", "/dev/vdb1"),
        ("/dev/sda6", "PARTUUID=0000aaaa-06", "/dev/vda6"),
        ("/dev/sdb2", "/dev/disk/by-id/virtio-h2kvm0000disk1-part2", "/dev/vdb2"),
    ],
)
def test_the_best_lasting_name_is_chosen(name, spec, new_name):
    assert DeviceRenaming(situation()).stable(name) == StableName(spec, new_name)


def test_names_of_no_disk_have_none():
    renaming = DeviceRenaming(situation())
    assert renaming.moves("/dev/sdz1")
    assert renaming.stable("/dev/sdz1") is None


@pytest.mark.parametrize(
    "name", ["UUID=1", "/dev/mapper/vg-lv", "tmpfs", "none", "/dev/sr0", "/dev/disk/by-id/virtio-h2kvm0000disk0-part1"]
)
def test_lasting_names_do_not_move(name):
    assert not DeviceRenaming(situation()).moves(name)


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        ("/dev/sda1", f"UUID={ROOT}"),
        ("btrfsvol:/dev/sda1/@rootfs", f"UUID={ROOT}"),
        ("/dev/vg/root", None),
        (None, None),
    ],
)
def test_the_root_is_what_inspect_found(root, expected):
    found = DeviceRenaming(situation(root=root)).root()
    assert (found.spec if found else None) == expected


def test_labels_are_escaped_as_blkid_tells_udev(tmp_path):
    label, disk = "a b/\\é%:", tmp_path / "disk"
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-L", label, str(disk), "2M"], check=True, capture_output=True)
    told = subprocess.run(["/sbin/blkid", "-p", "-o", "udev", str(disk)], check=True, capture_output=True, text=True)
    (expected,) = (line.partition("=")[2] for line in told.stdout.splitlines() if line.startswith("ID_FS_LABEL_ENC="))
    assert StableName(f"LABEL={label}").path == f"/dev/disk/by-label/{expected}"


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ("UUID=1-2", "/dev/disk/by-uuid/1-2"),
        ("LABEL=my data/é", "/dev/disk/by-label/my\\x20data\\x2fé"),
        ("/dev/disk/by-id/virtio-x", "/dev/disk/by-id/virtio-x"),
    ],
)
def test_what_takes_no_tags_gets_a_path(spec, path):
    assert StableName(spec).path == path


def test_reasons_name_what_changes_and_what_stays():
    renaming = DeviceRenaming(situation(bus=TargetBus.SCSI))
    assert renaming.stable("/dev/sda1").reason("/dev/sda1") == (
        "/dev/sda1 depends on the disk's controller, which changes; the UUID stays"
    )
    assert renaming.disk("/dev/sdb").reason("/dev/sdb").endswith("the serial number stays")
