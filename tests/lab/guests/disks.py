"""From a Debian tree to the two disks of a guest. Boot loaders and LVM are made inside of an appliance."""

import hashlib
import random
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import guestfs

from hyper2kvm.accelerator import CPUS
from hyper2kvm.guest import appliancekernel
from lab.cluster.progress import say
from lab.rawdisk import Part, RawDisk

SYSTEM_MIB = 2560
DATA_MIB = 512
ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
LVM = "E6D6D379-F507-44C2-A23C-238F2A3DF928"
DATA_FILE = "/srv/data/ledger.bin"
SYSTEM_FILE = "/opt/app/release.bin"
_DELETED = "/var/cache/old"
_DELETED_MIB = 192
_MENU = "/boot/grub/grub.cfg"
_GRUB = "GRUB_TIMEOUT=1\nGRUB_DISTRIBUTOR=Debian\nGRUB_DISABLE_LINUX_UUID=true\nGRUB_DISABLE_OS_PROBER=true\n"


def data(path: str, mib: int) -> bytes:
    """The content of a known file: the same in every build."""
    return random.Random(path).randbytes(mib << 20)


def known_files() -> dict[str, str]:
    """Path → SHA-256 of the files that a migration must keep, one on each disk."""
    sizes = {SYSTEM_FILE: 4, DATA_FILE: 24}
    return {path: hashlib.sha256(data(path, mib)).hexdigest() for path, mib in sizes.items()}


def data_disk(path: Path, scratch: Path) -> None:
    """The second disk: one partition with an ext4."""
    tree = scratch / "data"
    tree.mkdir()
    (tree / Path(DATA_FILE).name).write_bytes(data(DATA_FILE, 24))
    disk = RawDisk(path, DATA_MIB)
    disk.partitions("dos", [Part(0)])
    disk.ext4(1, tree)


def bios_disk(path: Path, tree: Path) -> None:
    """MBR, one ext4, GRUB in the gap before it."""
    _prepare(tree)
    disk = RawDisk(path, SYSTEM_MIB)
    disk.partitions("dos", [Part(0)])
    disk.ext4(1, tree)
    with appliance(path) as guest:
        guest.mount("/dev/sda1", "/")
        say("GRUB for BIOS")
        # Programs see the kernel's own name of the disk, which on a busy machine may be that of another one.
        whole = guest.command(["grub-probe", "--target=disk", "/"]).strip()
        guest.command(["grub-install", "--target=i386-pc", whole])
        _configure(guest)
        menu = guest.read_file(_MENU).decode()
        guest.write(_MENU, menu.replace(f"root={whole}", "root=/dev/sda"))


def uefi_disk(path: Path, tree: Path, scratch: Path) -> None:
    """GPT, an ESP with the loader in EFI/debian alone, /boot as ext4, root and swap as logical volumes."""
    _prepare(tree)
    boot = scratch / "boot"
    (tree / "boot").rename(boot)
    (tree / "boot").mkdir()
    disk = RawDisk(path, SYSTEM_MIB)
    disk.partitions("gpt", [Part(128, ESP), Part(320), Part(0, LVM)])
    disk.vfat(1, "ESP")
    disk.ext4(2, boot)
    root = RawDisk(scratch / "root.raw", SYSTEM_MIB - 128 - 320 - 320)
    root.ext4(0, tree)
    with appliance(path, root.path) as guest:
        say("logical volumes")
        guest.pvcreate("/dev/sda3")
        guest.vgcreate("vg0", ["/dev/sda3"])
        guest.lvcreate("root", "vg0", root.size)
        guest.lvcreate("swap", "vg0", 256)
        guest.mkswap("/dev/vg0/swap")
        guest.copy_device_to_device("/dev/sdb", "/dev/vg0/root", sparse=True)
        guest.mount("/dev/vg0/root", "/")
        guest.mount("/dev/sda2", "/boot")
        guest.mkdir_p("/boot/efi")
        guest.mount("/dev/sda1", "/boot/efi")
        say("GRUB for UEFI")
        loader = ["--efi-directory=/boot/efi", "--bootloader-id=debian", "--no-nvram"]
        guest.command(["grub-install", "--target=x86_64-efi", *loader])
        _configure(guest)
        if guest.exists("/boot/efi/EFI/BOOT"):
            raise RuntimeError("grub-install made a fallback loader: the guest would prove nothing")


def _prepare(tree: Path) -> None:
    (tree / "etc/default/grub").write_text(_GRUB)
    (tree / _DELETED.lstrip("/")).write_bytes(data(_DELETED, _DELETED_MIB))


def _configure(guest: Any) -> None:
    guest.command(["grub-mkconfig", "-o", _MENU])
    # What was deleted still takes room in the image until it is trimmed.
    guest.rm(_DELETED)


@contextmanager
def appliance(*disks: Path, formats: tuple[str, ...] = (), readonly: bool = False) -> Iterator[Any]:
    """An appliance over disks, raw unless `formats` says otherwise; it starts as quickly as the product's."""
    guest = guestfs.GuestFS(python_return_dict=True)
    guest.set_backend("direct")
    guest.set_backend_settings(["force_tcg"])
    guest.set_memsize(1024)
    if folder := appliancekernel.choose():
        guest.set_cachedir(str(folder))
    guest.config("-cpu", CPUS["tcg"])
    for number, disk in enumerate(disks):
        guest.add_drive_opts(str(disk), format=formats[number] if formats else "raw", readonly=readonly)
    say("starting an appliance")
    guest.launch()
    try:
        yield guest
        guest.umount_all()
        guest.shutdown()
    finally:
        guest.close()


def qemu_img(*arguments: str | Path, folder: Path | None = None) -> None:
    """Run qemu-img in a folder."""
    run(["qemu-img", *map(str, arguments)], folder)


def run(arguments: Sequence[str | Path], folder: Path | None = None) -> None:
    """Run a program in a folder; what it said is shown when it fails."""
    done = subprocess.run(arguments, check=False, capture_output=True, text=True, cwd=folder)
    if done.returncode:
        say(f"{done.stdout}{done.stderr}".strip())
        done.check_returncode()
