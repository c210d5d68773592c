"""INSPECT on real file systems: LUKS and LVM, btrfs subvolumes, several systems, none, and ones that do not mount."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import mkdtemp

import pytest

from hyper2kvm.guest.appliance import Appliance
from hyper2kvm.guest.description import Family, Mount
from hyper2kvm.guest.firmware import ESP
from hyper2kvm.guest.inspection import inspect_guest
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.machine import Firmware
from hyper2kvm_api.options import GuestOptions, UnsupportedPolicy
from hyper2kvm_api.reasons import Reason
from lab.debiantree import LINKS, VERSION, archive, files, release
from lab.rawdisk import Part, RawDisk, unpacked

from .conftest import machine, opened, planned, with_disks

pytestmark = pytest.mark.appliance

BY_PATH = "/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:{}:0-part{}"
GRUB = b"\xeb\x63".ljust(384, b"\x90") + b"GRUB \0Geom"

ENCRYPTED = machine("scsi0:0", "scsi0:1")
ONE = machine("scsi0:0")


@pytest.fixture(scope="module")
def disks(folder) -> Iterator[Appliance]:
    """An appliance with, in this order: a UEFI system on LVM in LUKS and its data disk; btrfs; two systems; AlmaLinux;
    an empty file system; a system whose /boot is newer than every kernel; one whose /boot is a RAID; a hibernated one.
    """
    make = Maker(folder)
    images = [*make.encrypted(), make.disk("btrfs", 160), make.two(), make.alma(), make.empty(), make.newer()]
    images += [make.raid(), make.hibernated()]
    with opened([image.path for image in images], folder) as appliance:
        fill_volumes(appliance, folder)
        fill_btrfs(appliance, folder)
        fill_raid(appliance)
        yield appliance


class Maker:
    """Makes the images, as far as no device mapper is needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def disk(self, name: str, size: int) -> RawDisk:
        return RawDisk(self.folder / f"{name}.img", size)

    def tree(self, files_: Mapping[str, bytes], *folders: str, links: Mapping[str, str] = LINKS) -> Path:
        return unpacked(Path(mkdtemp(dir=self.folder)), files_, links, folders)

    def encrypted(self) -> tuple[RawDisk, RawDisk]:
        system, data = self.disk("luks", 384), self.disk("data", 64)
        system.partitions("gpt", [Part(64, ESP), Part(96), Part(0)])
        system.vfat(1, "EFI SYSTEM")
        system.ext4(2, self.tree({"/lost": b""}, links={}))
        system.luks(3, "correct horse")
        data.partitions("dos", [Part(0)])
        data.ext4(1, self.tree({"/value": b"1"}, links={}), "-L", "my data")
        return system, data

    def two(self) -> RawDisk:
        disk = self.disk("two", 64)
        disk.partitions("dos", [Part(30), Part(0)])
        for number in (1, 2):
            disk.ext4(number, self.tree(files("# nothing is mounted\n")))
        return disk

    def alma(self) -> RawDisk:
        disk = self.disk("alma", 32)
        disk.ext4(
            0, self.tree({"/etc/os-release": release("almalinux", "AlmaLinux 9.4 (Seafoam Ocelot)", "9.4")}, links={})
        )
        return disk

    def empty(self) -> RawDisk:
        disk = self.disk("empty", 16)
        disk.ext4(0, self.tree({}, "/some", links={}))
        return disk

    def newer(self) -> RawDisk:
        """Its /boot has a feature of ext4 that no kernel knows: bit 31 of s_feature_incompat, at 0x60."""
        disk = self.disk("newer", 64)
        disk.partitions("dos", [Part(30), Part(0)])
        disk.ext4(1, self.tree(files("/dev/sda2 /boot ext4 defaults 0 2\n")))
        disk.ext4(2, self.tree({}, "/grub", links={}), "-O", "^metadata_csum")
        at = disk.start(2) + 1024 + 0x63
        disk.write(at, bytes([disk.read(at, 1)[0] | 0x80]))
        return disk

    def raid(self) -> RawDisk:
        """Its arrays are made later. The boot record starts the active partition, which holds GRUB."""
        disk = self.disk("raid", 96)
        disk.partitions("dos", [Part(40), Part(24, "fd"), Part(24, "fd")])
        disk.ext4(1, self.tree(files("/dev/sda1 / ext4 defaults 0 1\n/dev/md0 /boot ext4 defaults 0 2\n")))
        disk.write(disk.start(1), GRUB)
        disk.write(0, b"\x33\xc0")
        subprocess.run(["sfdisk", "--quiet", "--activate", str(disk.path), "1"], check=True)
        return disk

    def hibernated(self) -> RawDisk:
        disk = self.disk("hibernated", 64)
        disk.partitions("dos", [Part(30), Part(0, "82")])
        disk.ext4(1, self.tree(files("/dev/sda1 / ext4 defaults 0 1\n")))
        disk.swap(2)
        # The kernel exchanges mkswap's signature at the end of the first page (kernel/power/swap.c, mark_swapfiles).
        disk.write(disk.start(2) + 4096 - 10, b"S1SUSPEND\0")
        return disk


def fill_volumes(appliance: Appliance, folder: Path) -> None:
    raw = appliance.handle
    raw.cryptsetup_open("/dev/sda3", "correct horse", "making")
    raw.pvcreate("/dev/mapper/making")
    raw.vgcreate("vg-0", ["/dev/mapper/making"])
    raw.lvcreate("root", "vg-0", 96)
    raw.lvcreate("swap_1", "vg-0", 16)
    raw.lvcreate("var", "vg-0", 16)
    raw.mkfs("ext4", "/dev/vg-0/root")
    raw.mkfs("ext4", "/dev/vg-0/var")
    raw.mkswap("/dev/vg-0/swap_1")
    raw.mount("/dev/vg-0/root", "/")
    for path, device in (("/boot", "/dev/sda2"), ("/boot/efi", "/dev/sda1")):
        raw.mkdir(path)
        raw.mount(device, path)
    uuids = (raw.vguuid("vg-0") + raw.lvuuid("/dev/vg-0/var")).replace("-", "")
    fstab = (
        "/dev/mapper/vg--0-root / ext4 errors=remount-ro 0 1\n"
        "/dev/sda2 /boot ext4 defaults 0 2\n"
        f"{BY_PATH.format(0, 1)} /boot/efi vfat umask=0077 0 1\n"
        f"{BY_PATH.format(1, 1)} /srv ext4 defaults 0 2\n"
        f"/dev/disk/by-id/dm-uuid-LVM-{uuids} /var ext4 defaults 0 2\n"
        "UUID=00000000-0000-4000-8000-000000000000 /opt ext4 nofail 0 2\n"
        "/dev/mapper/vg--0-swap_1 none swap sw 0 0\n"
    )
    more = {
        "/etc/crypttab": b"root_crypt /dev/sda3 none luks\n",
        "/etc/network/interfaces": b"auto ens192\niface ens192 inet static\n  address 192.0.2.10/24\n",
        "/boot/efi/EFI/debian/grubx64.efi": b"MZ",
        "/boot/efi/EFI/debian/grub.cfg": b"search\n",
    }
    unpack(appliance, folder, archive(files(fstab, more), folders=("/srv", "/opt", "/var")))
    appliance.unmount()
    raw.vg_activate(False, ["vg-0"])
    raw.cryptsetup_close("/dev/mapper/making")


def fill_btrfs(appliance: Appliance, folder: Path) -> None:
    raw = appliance.handle
    raw.part_disk("/dev/sdc", "mbr")
    raw.pwrite_device("/dev/sdc", GRUB, 0)
    raw.mkfs("btrfs", "/dev/sdc1", label="system")
    raw.mount("/dev/sdc1", "/")
    for name in ("/@rootfs", "/@home"):
        raw.btrfs_subvolume_create(name)
    appliance.unmount()
    raw.mount("btrfsvol:/dev/sdc1/@rootfs", "/")
    fstab = "LABEL=system / btrfs subvol=@rootfs 0 0\n/dev/sda1 /home btrfs subvol=/@home 0 0\n"
    unpack(appliance, folder, archive(files(fstab), folders=("/home",)))
    appliance.unmount()
    raw.mount("/dev/sdc1", "/")
    raw.btrfs_subvolume_snapshot("/@rootfs", "/@rootfs-old")
    appliance.unmount()


def fill_raid(appliance: Appliance) -> None:
    raw = appliance.handle
    raw.md_create("making", ["/dev/sdh2", "/dev/sdh3"], level="raid1")
    (array,) = raw.list_md_devices()
    raw.mkfs("ext4", array)
    uuid = raw.md_detail(array)["uuid"]
    raw.mount(array, "/")
    raw.mkdir("/grub")
    raw.write("/grub/grub.cfg", b"linux /vmlinuz root=/dev/sda1 ro\n")
    appliance.unmount()
    raw.mount("/dev/sdh1", "/")
    raw.mkdir_p("/etc/mdadm")
    raw.write("/etc/mdadm/mdadm.conf", f"ARRAY /dev/md0 metadata=1.2 UUID={uuid}\n".encode())
    appliance.unmount()


def unpack(appliance: Appliance, folder: Path, tar: bytes) -> None:
    (folder / "tree.tar").write_bytes(tar)
    appliance.handle.tar_in(str(folder / "tree.tar"), "/")


@pytest.fixture
def keys(tmp_path) -> Path:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "other").write_text("wrong\n")
    (tmp_path / "keys" / "passphrase").write_text("correct horse\n")
    return tmp_path / "keys"


def test_an_encrypted_system_without_its_key_is_an_error_that_says_what_to_do(disks, events):
    with pytest.raises(GuestError, match=r"/dev/sda3 \(disk scsi0:0\): the operating system is encrypted") as caught:
        inspect_guest(with_disks(disks, "/dev/sda", "/dev/sdb"), planned(ENCRYPTED), events)
    assert caught.value.reason is Reason.ENCRYPTED_WITHOUT_KEY
    assert "no key was given" in caught.value.message
    assert "spec.guest.keys.secretName" in caught.value.hint


def test_an_encrypted_system_on_lvm_is_described_whole(disks, keys, events, warned):
    plan = planned(ENCRYPTED, keys_folder=str(keys))
    guest = inspect_guest(with_disks(disks, "/dev/sda", "/dev/sdb"), plan, events)
    assert guest.supported
    assert (guest.os.id, guest.os.version, guest.os.hostname, guest.os.architecture) == (
        "debian",
        "12",
        "web01",
        "x86_64",
    )
    assert (guest.root, guest.boot_disk, guest.firmware) == ("/dev/vg-0/root", "scsi0:0", Firmware.UEFI)
    assert [(mount.path, mount.device, mount.type) for mount in guest.mounts] == [
        ("/", "/dev/vg-0/root", "ext4"),
        ("/boot", "/dev/sda2", "ext4"),
        ("/srv", "/dev/sdb1", "ext4"),
        ("/var", "/dev/vg-0/var", "ext4"),
        ("/boot/efi", "/dev/sda1", "vfat"),
    ]
    assert all(0 < mount.free <= mount.size for mount in guest.mounts)
    (kernel,) = guest.kernels
    assert (kernel.version, kernel.generator, kernel.boots_from_virtio) == (VERSION, "initramfs-tools", False)
    (loader,) = guest.boot_loaders
    assert (loader.kind, loader.fallback) == ("grub-efi", False)
    assert guest.interfaces[0].addresses == ("192.0.2.10/24",)
    (warning,) = warned()
    assert "/opt" in warning
    assert "FilesystemNotMounted" in warning


def test_the_table_of_devices_tells_what_each_one_holds(disks, keys, events):
    plan = planned(ENCRYPTED, keys_folder=str(keys))
    guest = inspect_guest(with_disks(disks, "/dev/sda", "/dev/sdb"), plan, events)
    found = {device.device: device for device in guest.devices}
    uuid = found["/dev/sda3"].uuid
    assert {name: (device.type, device.disk) for name, device in found.items()} == {
        "/dev/sda1": ("vfat", "scsi0:0"),
        "/dev/sda2": ("ext4", "scsi0:0"),
        "/dev/sda3": ("crypto_LUKS", "scsi0:0"),
        "/dev/sdb1": ("ext4", "scsi0:1"),
        f"/dev/mapper/luks-{uuid}": ("LVM2_member", "scsi0:0"),
        "/dev/vg-0/root": ("ext4", "scsi0:0"),
        "/dev/vg-0/swap_1": ("swap", "scsi0:0"),
        "/dev/vg-0/var": ("ext4", "scsi0:0"),
    }
    assert found[f"/dev/mapper/luks-{uuid}"].luks_uuid == uuid
    assert (found["/dev/sda1"].part_type, found["/dev/sda1"].label) == (ESP, "EFI SYSTEM")
    assert (found["/dev/sdb1"].part_type, found["/dev/sdb1"].label) == ("83", "my data")
    assert found["/dev/sda1"].size == 64 << 20
    assert found["/dev/vg-0/root"].size == 96 << 20


def test_a_btrfs_is_one_system_in_the_subvolume_that_says_so(disks, events, warned):
    guest = inspect_guest(with_disks(disks, "/dev/sdc"), planned(ONE), events)
    assert (guest.root, guest.root_name) == ("btrfsvol:/dev/sdc1/@rootfs", "LABEL=system")
    assert [(mount.path, mount.device) for mount in guest.mounts] == [
        ("/", "btrfsvol:/dev/sdc1/@rootfs"),
        ("/home", "btrfsvol:/dev/sdc1/@home"),
    ]
    assert (guest.firmware, guest.boot_disk, guest.boot_loaders[0].kind) == (Firmware.BIOS, "scsi0:0", "grub-pc")
    assert warned() == []


def test_what_was_found_can_be_mounted_again_for_writing(disks, events):
    guest = inspect_guest(with_disks(disks, "/dev/sdc"), planned(ONE), events)
    disks.mount_guest(guest)
    disks.write("/home/note", b"written", 0o644)
    disks.mount([Mount(device="btrfsvol:/dev/sdc1/@home", path="/", type="btrfs", free=0, size=0)], writable=False)
    assert disks.read("/note") == b"written"


def test_two_systems_are_an_error_that_lists_them(disks, events):
    with pytest.raises(GuestError, match=r"2 operating systems, on /dev/sdd1, /dev/sdd2") as caught:
        inspect_guest(with_disks(disks, "/dev/sdd"), planned(ONE), events)
    assert caught.value.reason is Reason.MULTIPLE_OPERATING_SYSTEMS
    assert "spec.guest.root: /dev/sdd1, /dev/sdd2" in caught.value.hint


def test_the_user_chooses_among_them(disks, events):
    plan = planned(ONE, GuestOptions(root="/dev/sda2"))
    guest = inspect_guest(with_disks(disks, "/dev/sdd"), plan, events)
    assert guest.root == "/dev/sdd2"


def test_a_system_that_is_not_repaired_is_an_error_that_names_it(disks, events):
    with pytest.raises(GuestError, match=r"AlmaLinux 9\.4") as caught:
        inspect_guest(with_disks(disks, "/dev/sde"), planned(ONE), events)
    assert caught.value.reason is Reason.UNSUPPORTED_OPERATING_SYSTEM
    assert "whenUnsupported: Copy" in caught.value.hint


def test_no_system_is_an_error_that_says_what_was_found(disks, events):
    with pytest.raises(GuestError, match=r"no disk holds an operating system; found: /dev/sdf \(ext4\)") as caught:
        inspect_guest(with_disks(disks, "/dev/sdf"), planned(ONE), events)
    assert caught.value.reason is Reason.NO_OPERATING_SYSTEM
    assert "boot disk" in caught.value.hint


@pytest.mark.parametrize(("disk", "family"), [("/dev/sde", Family.UNKNOWN), ("/dev/sdf", None)])
def test_disks_are_copied_unchanged_where_the_user_allows_that(disks, events, warned, disk, family):
    plan = planned(ONE, GuestOptions(when_unsupported=UnsupportedPolicy.COPY))
    guest = inspect_guest(with_disks(disks, disk), plan, events)
    assert not guest.supported
    assert (guest.os.family if guest.os else None) == family
    assert (guest.root, guest.boot_disk) == (None, "scsi0:0")
    assert "the disks are copied unchanged" in warned()[0]


def test_a_file_system_that_the_appliance_is_too_old_for_is_named_with_the_feature(disks, events):
    with pytest.raises(GuestError, match=r"/dev/sdg2, the guest's /boot, cannot be mounted: .*80000000") as caught:
        inspect_guest(with_disks(disks, "/dev/sdg"), planned(ONE), events)
    assert caught.value.reason is Reason.FILESYSTEM_NOT_MOUNTED
    assert "newer than the appliance's kernel, " in caught.value.hint


def test_an_array_is_found_by_the_name_that_the_guest_gives_it(disks, events, warned):
    """The appliance numbers arrays itself: there is no /dev/md0."""
    guest = inspect_guest(with_disks(disks, "/dev/sdh"), planned(ONE), events)
    array = next(device for device in guest.devices if device.raid_uuid)
    assert array.device != "/dev/md0"
    assert [(mount.path, mount.device) for mount in guest.mounts] == [("/", "/dev/sdh1"), ("/boot", array.device)]
    assert warned() == []


def test_grub_in_an_active_partition_is_what_starts(disks, events):
    guest = inspect_guest(with_disks(disks, "/dev/sdh"), planned(ONE), events)
    assert [(loader.kind, loader.disk) for loader in guest.boot_loaders] == [("grub-pc", "scsi0:0")]


def test_a_hibernated_guest_is_refused(disks, events):
    with pytest.raises(GuestError, match=r"hibernated: /dev/sdi2 holds the memory") as caught:
        inspect_guest(with_disks(disks, "/dev/sdi"), planned(ONE), events)
    assert caught.value.reason is Reason.GUEST_HIBERNATED
    assert "shut it down" in caught.value.hint
