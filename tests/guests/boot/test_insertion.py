"""The probe is put into real file systems, through the appliance, and nothing but overlays is written."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from hyper2kvm.accelerator import proven
from hyper2kvm.boot.disks import throw_away
from hyper2kvm.boot.insertion import Inserted, Overlays, insert_probe
from hyper2kvm.boot.probe import SCRIPT, UNIT
from hyper2kvm.events import Events
from hyper2kvm.guest.description import BlockDevice, Family, Guest, Mount, OperatingSystem
from hyper2kvm_api.machine import Firmware
from lab.rawdisk import RawDisk
from unit.boot.situations import make_disk

MIB = 2**20
MARK = "0123456789abcdef"
KEY = "correct horse"


def make_guest(root: str, init: str = "systemd", devices: tuple[BlockDevice, ...] = ()) -> Guest:
    system = OperatingSystem(
        family=Family.DEBIAN, id="debian", version="12", name="Debian", architecture="x86_64", init=init
    )
    mount = Mount(device=root, path="/", type="ext4", free=0, size=0)
    return Guest(os=system, root=root, boot_disk="scsi0:0", firmware=Firmware.BIOS, mounts=(mount,), devices=devices)


def make_filesystem(path: Path, tree: Path, *options: str) -> Path:
    with path.open("wb") as file:
        file.truncate(32 * MIB)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", *options, "-d", tree, path], check=True)
    return path


def debugfs(image: Path, command: str) -> str:
    return subprocess.run(["debugfs", "-R", command, image], capture_output=True, text=True, check=True).stdout


class Lab:
    """One disk under an overlay."""

    def __init__(self, folder: Path, image: Path) -> None:
        self.folder, self.image, self.events = folder, image, Events()
        self.node = throw_away(make_disk(image), folder / "overlay.qcow2")

    def insert(self, guest: Guest, keys: Path | None = None) -> Inserted:
        overlays = Overlays(["scsi0:0"], [self.node], self.folder, self.folder)
        return insert_probe(overlays, guest, keys, proven(), MARK, self.events)

    def result(self) -> Path:
        """What the guest would see, as a raw image."""
        made = self.folder / "result.raw"
        subprocess.run(["qemu-img", "convert", "-O", "raw", "json:" + json.dumps(self.node), made], check=True)
        return made


@pytest.fixture
def tree(tmp_path):
    made = tmp_path / "tree"
    (made / "etc/systemd/system").mkdir(parents=True)
    (made / "etc/selinux").mkdir()
    (made / "etc/selinux/config").write_text("SELINUX=enforcing\n")
    return made


@pytest.mark.appliance
def test_the_probe_is_in_the_overlay_and_the_disk_is_as_it_was(tmp_path, tree):
    image = make_filesystem(tmp_path / "root.img", tree)
    before = hashlib.sha256(image.read_bytes()).hexdigest()
    lab = Lab(tmp_path, image)
    assert lab.insert(make_guest("/dev/sda")) == Inserted(probe=True)
    found = lab.result()
    assert MARK in debugfs(found, f"cat /etc/systemd/system/{UNIT}")
    assert "h2k" in debugfs(found, f"cat {SCRIPT}")
    assert f"../{UNIT}" in debugfs(found, f"stat /etc/systemd/system/emergency.target.wants/{UNIT}")
    assert debugfs(found, "cat /etc/selinux/config") == "SELINUX=permissive\n"
    assert hashlib.sha256(image.read_bytes()).hexdigest() == before
    assert [event.reason for event in lab.events.warnings] == ["CheckedPermissive"]


@pytest.mark.appliance
def test_a_guest_without_room_is_started_without_a_probe(tmp_path, tree):
    image = make_filesystem(tmp_path / "root.img", tree)
    free = int(next(line for line in debugfs(image, "stats").splitlines() if "Free blocks" in line).split()[-1])
    filling = tmp_path / "filling"
    filling.write_bytes(b"x" * (free * 1024))
    subprocess.run(["debugfs", "-w", "-R", f"write {filling} filling", image], capture_output=True, check=True)
    lab = Lab(tmp_path, image)
    assert not lab.insert(make_guest("/dev/sda")).probe
    (warning,) = lab.events.warnings
    assert warning.reason == "ProbeNotInserted"
    assert "login prompt" in (warning.hint or "")


@pytest.mark.appliance
def test_an_encrypted_root_is_opened_with_the_keys(tmp_path):
    (tmp_path / "empty").mkdir()
    disk = RawDisk(tmp_path / "root.img", 64)
    # No block of a file system is smaller than a sector of the device, which is 4 KiB here.
    disk.luks(0, KEY, make_filesystem(tmp_path / "plain.img", tmp_path / "empty", "-b", "4096"))
    told = subprocess.run(["cryptsetup", "luksUUID", disk.path], capture_output=True, text=True, check=True)
    uuid = told.stdout.strip()
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/root").write_text(KEY)
    guest = make_guest(
        f"/dev/mapper/luks-{uuid}", devices=(BlockDevice(device="/dev/sda", type="crypto_LUKS", uuid=uuid, size=1),)
    )
    lab = Lab(tmp_path, disk.path)
    assert lab.insert(guest, tmp_path / "keys") == Inserted(probe=True, passphrases=(KEY,))
    assert not lab.events.warnings


def test_a_guest_that_systemd_does_not_start_gets_no_probe(tmp_path, tree):
    lab = Lab(tmp_path, make_filesystem(tmp_path / "root.img", tree))
    assert not lab.insert(make_guest("/dev/sda", init="sysvinit")).probe
