import subprocess

import pytest

from hyper2kvm.guest.description import BlockDevice, Mount
from hyper2kvm.guest.firmware import (
    BIOS_BOOT,
    ESP,
    BootRecord,
    active_partition,
    boot_disk,
    detect,
    esp_folder,
    has_boot_record,
)
from hyper2kvm_api.machine import DiskBus, Firmware, Machine, MachineDisk
from lab.rawdisk import Part, RawDisk

GIB = 1 << 30
LINUX = "0fc63daf-8483-4772-8e79-3d69d8477de4"
GRUB = b"\xeb\x63".ljust(384, b"\x90") + b"GRUB \0Geom".ljust(126, b"\0") + b"\x55\xaa"
SYSLINUX = b"\x33\xc0".ljust(510, b"\0") + b"\x55\xaa"
DATA = bytes(510) + b"\x55\xaa"
FIRST, SECOND = "scsi0:0", "scsi0:1"


def machine(*boot_order: str) -> Machine:
    disks = [
        MachineDisk(id=f"scsi0:{u}", bus=DiskBus.SCSI, controller=0, unit=u, capacity=GIB, format="raw", file=str(u))
        for u in range(2)
    ]
    return Machine(name="web01", memory=GIB, disks=tuple(disks), boot_order=boot_order)


def partition(name: str, disk: str | None, part_type: str | None = LINUX, **values: object) -> BlockDevice:
    return BlockDevice(device=name, disk=disk, partition=1, part_type=part_type, size=GIB, **{"type": "ext4", **values})


def mount(device: str, path: str) -> Mount:
    return Mount(device=device, path=path, type="ext4", free=0, size=GIB)


def records(sectors: dict[str, bytes]) -> dict[str, BootRecord]:
    return {disk: BootRecord(sector) for disk, sector in sectors.items()}


@pytest.mark.parametrize(
    ("stated", "types", "expected"),
    [
        (Firmware.BIOS, [ESP], Firmware.BIOS),
        (Firmware.UEFI, ["83"], Firmware.UEFI),
        (None, [ESP, LINUX], Firmware.UEFI),
        (None, [ESP, BIOS_BOOT, LINUX], Firmware.BIOS),
        (None, ["ef", "83"], Firmware.BIOS),
        (None, ["83"], Firmware.BIOS),
        (None, [None], Firmware.BIOS),
        (None, [], Firmware.BIOS),
    ],
)
def test_the_firmware_is_the_sources_or_what_the_disks_show(stated, types, expected):
    devices = [partition(f"/dev/sda{number}", FIRST, each) for number, each in enumerate(types, 1)]
    assert detect(stated, devices) is expected


@pytest.mark.parametrize(
    ("sectors", "expected"),
    [
        ({FIRST: DATA, SECOND: GRUB}, SECOND),
        ({FIRST: GRUB, SECOND: GRUB}, SECOND),
        ({FIRST: SYSLINUX, SECOND: GRUB}, SECOND),
        ({FIRST: GRUB, SECOND: DATA}, FIRST),
        ({FIRST: SYSLINUX, SECOND: DATA}, FIRST),
        ({FIRST: DATA, SECOND: DATA}, SECOND),
        ({}, SECOND),
    ],
)
def test_a_bios_starts_the_disk_with_a_boot_loader_and_rather_the_systems(sectors, expected):
    devices = [partition("/dev/sda1", FIRST), partition("/dev/sdb1", SECOND)]
    found = boot_disk(Firmware.BIOS, machine(), devices, [mount("/dev/sdb1", "/")], records(sectors))
    assert found == expected


@pytest.mark.parametrize(
    ("sectors", "order", "expected"),
    [
        ({FIRST: GRUB, SECOND: GRUB}, [FIRST, SECOND], FIRST),
        ({FIRST: GRUB, SECOND: GRUB}, [FIRST], FIRST),
        ({FIRST: GRUB, SECOND: GRUB}, [SECOND], SECOND),
        ({FIRST: SYSLINUX, SECOND: SYSLINUX}, [FIRST, SECOND], FIRST),
        ({FIRST: DATA, SECOND: GRUB}, [FIRST, SECOND], SECOND),
    ],
)
def test_of_disks_that_are_alike_the_one_that_the_source_starts_first_is_started(sectors, order, expected):
    """The system is on the second, which may be the second half of a mirror."""
    devices = [partition("/dev/sda1", FIRST), partition("/dev/sdb1", SECOND)]
    assert boot_disk(Firmware.BIOS, machine(*order), devices, [mount("/dev/sdb1", "/")], records(sectors)) == expected


def test_of_two_esps_the_one_that_the_source_starts_first_is_started():
    devices = [partition("/dev/sda1", FIRST, ESP), partition("/dev/sdb1", SECOND, ESP)]
    mounts = [mount("/dev/sdb1", "/boot/efi")]
    assert boot_disk(Firmware.UEFI, machine(FIRST, SECOND), devices, mounts, {}) == FIRST


def test_the_disk_of_boot_goes_before_the_roots():
    devices = [partition("/dev/sda1", FIRST), partition("/dev/sdb1", SECOND)]
    mounts = [mount("/dev/sda1", "/"), mount("btrfsvol:/dev/sdb1/@boot", "/boot")]
    assert boot_disk(Firmware.BIOS, machine(), devices, mounts, {}) == SECOND


def test_uefi_starts_the_disk_with_the_mounted_esp():
    devices = [
        partition("/dev/sda1", FIRST, ESP),
        partition("/dev/sdb1", SECOND, ESP),
        partition("/dev/vg/root", None, None),
    ]
    begins = records({FIRST: GRUB, SECOND: DATA})
    mounted = boot_disk(Firmware.UEFI, machine(), devices, [mount("/dev/sdb1", "/boot/efi")], begins)
    assert mounted == SECOND
    assert boot_disk(Firmware.UEFI, machine(), devices, [], begins) == FIRST


def test_disks_without_anything_start_with_the_first():
    assert boot_disk(Firmware.UEFI, machine(), [], [], {}) == FIRST


@pytest.mark.parametrize("sector", [GRUB, SYSLINUX, DATA])
def test_a_firmware_starts_what_begins_with_a_boot_record(sector):
    assert has_boot_record(sector)


@pytest.mark.parametrize("sector", [b"", b"\x55\xaa", bytes(512), bytes(510) + b"\xaa\x55"])
def test_a_firmware_starts_nothing_else(sector):
    assert not has_boot_record(sector)


def test_a_bios_starts_the_disk_whose_active_partition_holds_grub():
    devices = [partition("/dev/sda1", FIRST), partition("/dev/sdb1", SECOND)]
    begins = {FIRST: BootRecord(SYSLINUX), SECOND: BootRecord(SYSLINUX, GRUB)}
    assert boot_disk(Firmware.BIOS, machine(), devices, [mount("/dev/sda1", "/")], begins) == SECOND


def test_the_active_partition_is_found(tmp_path):
    disk = RawDisk(tmp_path / "disk", 16)
    disk.partitions("dos", [Part(4), Part(8)])
    assert active_partition(disk.read(0, 512)) is None
    subprocess.run(["sfdisk", "--quiet", "--activate", str(disk.path), "2"], check=True)
    assert active_partition(disk.read(0, 512)) == disk.start(2)
    assert active_partition(bytes(446) + b"\x80".ljust(64, b"\xff")) is None


@pytest.mark.parametrize(
    ("paths", "expected"), [(["/boot/efi", "/boot"], "/boot/efi"), (["/boot"], "/boot"), (["/srv"], None)]
)
def test_an_esp_is_a_fat_where_one_is_mounted_by_custom(paths, expected):
    mounts = [Mount(device="/dev/sda1", path=path, type="vfat", free=0, size=GIB) for path in paths]
    assert esp_folder([mount("/dev/sda2", "/efi"), *mounts]) == expected
