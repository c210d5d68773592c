import pytest

from hyper2kvm.guest.description import BlockDevice
from hyper2kvm.guest.devices import DeviceNames
from hyper2kvm.guest.firmware import ESP, EXTENDED_BOOT
from hyper2kvm.guest.linux import fstab
from hyper2kvm.guest.mounting import Wanted, by_fstab, discovered, mountable
from hyper2kvm_api.machine import DiskBus, Machine, MachineDisk

GIB = 1 << 30
MACHINE = Machine(
    name="web01",
    memory=GIB,
    disks=(
        MachineDisk(id="scsi0:0", bus=DiskBus.SCSI, controller=0, unit=0, capacity=GIB, format="raw", file="0"),
        MachineDisk(id="scsi0:1", bus=DiskBus.SCSI, controller=0, unit=1, capacity=GIB, format="raw", file="1"),
    ),
)


def device(name: str, disk: str, number: int, **values: object) -> BlockDevice:
    return BlockDevice(device=name, disk=disk, partition=number, size=GIB, **{"type": "ext4", **values})


ROOT = device("/dev/sda1", "scsi0:0", 1, uuid="aaaa")
EFI = device("/dev/sda2", "scsi0:0", 2, type="vfat", part_type=ESP)
DATA = device("/dev/sdb1", "scsi0:1", 1, type="btrfs", uuid="bbbb")
INSIDE = BlockDevice(device="/dev/mapper/luks-1", type="ext4", size=GIB)
NAMES = DeviceNames(MACHINE, [ROOT, EFI, DATA, INSIDE])
BY_PATH = "/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:1:0-part1"


def wanted(text: str, mapped: dict[str, BlockDevice] | None = None) -> list[Wanted]:
    return by_fstab(fstab.parse(text), NAMES, mapped or {})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("/dev/sda2 /boot/efi vfat umask=0077 0 1", ("/boot/efi", EFI)),
        (f"{BY_PATH} /srv btrfs defaults 0 2", ("/srv", DATA)),
        ("UUID=bbbb /srv auto defaults", ("/srv", DATA)),
        ("UUID=cccc /var xfs defaults", ("/var", None)),
        ("/dev/sda1 //usr/ ext4 ro", ("/usr", ROOT)),
        ("/dev/mapper/home_crypt /home ext4", ("/home", INSIDE)),
    ],
)
def test_file_systems_on_devices_are_wanted(line, expected):
    (found,) = wanted(line, {"/dev/mapper/home_crypt": INSIDE})
    assert (found.path, found.device) == expected


@pytest.mark.parametrize(
    "line",
    [
        "UUID=aaaa / ext4 defaults",
        "UUID=bbbb none swap sw",
        "/dev/sdb1 swap swap sw",
        "tmpfs /tmp tmpfs size=1G",
        "proc /proc proc defaults",
        "/dev/sdb1 /mnt btrfs noauto",
        "/home/x /srv/x none bind",
        "/dev/sdb1 /srv btrfs bind",
        "server:/export /srv nfs defaults",
        "//server/share /srv cifs guest",
        "/dev/sr0 /media/cdrom0 auto user",
        "/dev/sr0 /media/cdrom0 udf,iso9660 user",
        "/dev/sdb1 relative btrfs defaults",
    ],
)
def test_what_is_not_mounted_from_a_disk_at_the_start_is_not_wanted(line):
    assert wanted(line) == []


def test_folders_above_come_first_and_the_first_entry_of_a_path_counts():
    found = wanted("UUID=aaaa /var/log ext4\nUUID=bbbb /var btrfs\nUUID=aaaa /var ext4\n")
    assert [(each.path, each.device) for each in found] == [("/var", DATA), ("/var/log", ROOT)]


@pytest.mark.parametrize(
    ("line", "needed"),
    [
        ("UUID=aaaa /boot ext4 defaults", True),
        ("UUID=aaaa /boot/efi vfat defaults", True),
        ("UUID=aaaa /boot/efi vfat defaults,nofail", False),
        ("UUID=aaaa /boot ext4 noauto,x-systemd.automount", False),
        ("UUID=aaaa /boot/efi vfat noauto", False),
        ("UUID=aaaa /usr ext4", True),
        ("UUID=aaaa /srv ext4", False),
    ],
)
def test_what_the_start_depends_on_is_needed(line, needed):
    assert wanted(line)[0].needed is needed


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("defaults", "/dev/sdb1"),
        ("subvol=@home", "btrfsvol:/dev/sdb1/@home"),
        ("subvol=/@home/", "btrfsvol:/dev/sdb1/@home"),
        ("subvol=/", "/dev/sdb1"),
        ("subvol=../../etc", "btrfsvol:/dev/sdb1/etc"),
        ("subvolid=257", "btrfsvol:/dev/sdb1/@var"),
        ("subvolid=5", "/dev/sdb1"),
        ("subvolid=x", "/dev/sdb1"),
    ],
)
def test_a_btrfs_is_mounted_by_its_subvolume(options, expected):
    (found,) = wanted(f"UUID=bbbb /home btrfs rw,{options}")
    assert mountable(found, DATA, lambda: {257: "@var"}) == expected


def test_other_file_systems_have_no_subvolumes():
    (found,) = wanted("UUID=aaaa /home ext4 subvol=@")
    assert mountable(found, ROOT, dict) == "/dev/sda1"


def found_without_entries(taken: list[str], empty: set[str], devices: list[BlockDevice]) -> list[tuple[str, str]]:
    return [(each.spec, each.path) for each in discovered(devices, "scsi0:0", taken, empty.__contains__)]


@pytest.mark.parametrize(
    ("taken", "empty", "expected"),
    [
        (["/"], {"/boot/efi", "/efi"}, [("/dev/sda2", "/boot/efi")]),
        (["/"], {"/efi", "/boot"}, [("/dev/sda2", "/efi")]),
        (["/"], {"/boot"}, [("/dev/sda2", "/boot")]),
        (["/"], set(), []),
        (["/", "/boot/efi"], {"/efi", "/boot"}, []),
    ],
)
def test_an_esp_without_an_entry_is_mounted_where_systemd_would(taken, empty, expected):
    assert found_without_entries(taken, empty, [ROOT, EFI]) == expected


def test_an_extended_boot_loader_partition_takes_boot():
    extended = device("/dev/sda3", "scsi0:0", 3, part_type=EXTENDED_BOOT)
    other = device("/dev/sdb2", "scsi0:1", 2, type="vfat", part_type=ESP)
    found = found_without_entries(["/"], {"/efi", "/boot"}, [other, EFI, extended])
    assert found == [("/dev/sda3", "/boot"), ("/dev/sda2", "/efi")]
