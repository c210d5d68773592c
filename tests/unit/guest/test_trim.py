"""File systems are made by mkfs and debugfs; the appliance that has them mounted is a stand-in."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from hyper2kvm.guest.description import BlockDevice, Guest, Mount
from hyper2kvm.guest.trim import trim
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.machine import Firmware
from hyper2kvm_api.reasons import Reason


class Handle:
    """Images by device; what was trimmed."""

    def __init__(self, images: Mapping[str, Path], refusals: Mapping[str, str] | None = None) -> None:
        self.images = images
        self.refusals = refusals or {}
        self.trimmed: list[str] = []
        self.alive = True

    def is_ready(self) -> int:
        return int(self.alive)

    def pread_device(self, device: str, count: int, offset: int) -> bytes:
        if not self.alive:
            raise RuntimeError("pread_device: appliance closed the connection unexpectedly")
        return self.images[device].read_bytes()[offset : offset + count]

    def fstrim(self, mountpoint: str) -> None:
        if mountpoint in self.refusals:
            raise RuntimeError(f"fstrim: {self.refusals[mountpoint]}")
        self.trimmed.append(mountpoint)

    def statvfs(self, path: str) -> dict[str, int]:
        return {"bfree": 3, "frsize": 4096}


@pytest.fixture
def make(tmp_path):
    def made(kind: str, state: int | None = None) -> Path:
        image = tmp_path / f"{kind}-{state}.img"
        with image.open("wb") as file:
            file.truncate(8 << 20)
        subprocess.run([f"/usr/sbin/mkfs.{kind}", "-q", image], check=True)
        if state is not None:
            command = ["/usr/sbin/debugfs", "-w", "-R", f"set_super_value state {state}", image]
            subprocess.run(command, check=True, capture_output=True)
        return image

    return made


def guest(*mounts: Mount) -> Guest:
    devices = tuple(BlockDevice(device=mount.device, type=mount.type, size=mount.size) for mount in mounts)
    return Guest(firmware=Firmware.BIOS, devices=devices, mounts=mounts)


def mounted(device: str, path: str, kind: str = "ext4") -> Mount:
    return Mount(device=device, path=path, type=kind, free=0, size=8 << 20)


@pytest.mark.parametrize("kind", ["ext2", "ext3", "ext4"])
@pytest.mark.parametrize("state", [2, 3], ids=["errors", "errors, unmounted"])
def test_a_file_system_with_errors_is_left_out_with_a_warning(make, kind, state):
    handle = Handle({"/dev/sda1": make(kind), "/dev/vg/srv": make(kind, state)})
    found = trim(handle, guest(mounted("/dev/sda1", "/", kind), mounted("/dev/vg/srv", "/srv", kind)))
    assert handle.trimmed == ["/"]
    assert found.size == 3 * 4096
    (finding,) = found.findings
    assert finding.reason == "FilesystemDamaged"
    assert "/srv (/dev/vg/srv) has errors" in finding.message
    assert "fsck" in finding.hint


def test_one_that_was_not_unmounted_is_trimmed(make):
    handle = Handle({"/dev/sda1": make("ext4", 0)})
    assert trim(handle, guest(mounted("/dev/sda1", "/"))).findings == ()
    assert handle.trimmed == ["/"]


def test_others_have_no_such_mark():
    handle = Handle({})
    found = trim(handle, guest(mounted("/dev/sda1", "/", "xfs"), mounted("/dev/sda2", "/boot/efi", "vfat")))
    assert (handle.trimmed, found.notes, found.findings) == (["/"], (), ())


def test_one_that_does_not_take_it_is_a_note(make):
    handle = Handle({"/dev/sda1": make("ext4")}, {"/": "the discard operation is not supported"})
    found = trim(handle, guest(mounted("/dev/sda1", "/")))
    assert found.size is None
    assert found.notes == ("/ (/dev/sda1) was not trimmed: the discard operation is not supported",)


def test_an_appliance_that_ends_is_no_refusal(make):
    handle = Handle({"/dev/sda1": make("ext4")})
    handle.alive = False
    with pytest.raises(HostError) as caught:
        trim(handle, guest(mounted("/dev/sda1", "/")))
    assert caught.value.reason is Reason.APPLIANCE_FAILED
