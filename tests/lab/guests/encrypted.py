"""A disk whose root is a btrfs subvolume in a LUKS container, started by UEFI; the names in it are VMware's."""

import subprocess
from pathlib import Path

from lab.cluster.progress import say
from lab.guests.disks import ESP, appliance, run
from lab.rawdisk import Part, RawDisk

PASSPHRASE = "Correct horse 7!"  # noqa: S105 -- a sample guest's, which tests type
SUBVOLUME = "@"
VOLUME = "cryptroot"
FSTAB = (
    f"/dev/mapper/{VOLUME} / btrfs defaults,subvol={SUBVOLUME} 0 0\n"
    "/dev/sda2 /boot ext4 defaults 0 2\n"
    "/dev/sda1 /boot/efi vfat umask=0077 0 1\n"
)
CRYPTTAB = f"{VOLUME} /dev/sda3 none luks\n"

_DISK_MIB, _ESP_MIB, _BOOT_MIB = 1920, 64, 320
_INITRAMFS_MODULES = "btrfs\ndm_crypt\naes_generic\nxts\n"
_GRUB_MODULES = ("part_gpt", "fat", "ext2", "normal", "configfile", "linux", "search", "search_fs_file", "all_video")
"""Without a video driver of GRUB's the kernel has no console to ask for the passphrase on."""
_FIND_MENU = "search --file --set=root /grub/grub.cfg\nset prefix=($root)/grub\nconfigfile $prefix/grub.cfg\n"
_MENU = """set timeout=1
menuentry 'Debian GNU/Linux' {{
\tlinux /vmlinuz-{version} root=/dev/mapper/{volume} rootflags=subvol={subvolume} ro quiet
\tinitrd /initrd.img-{version}
}}
"""


def encrypted_disk(path: Path, tree: Path, scratch: Path) -> None:
    """GPT, an ESP with the loader in EFI/debian alone, /boot as ext4, the root inside of LUKS."""
    (tree / "etc/fstab").write_text(FSTAB)
    (tree / "etc/crypttab").write_text(CRYPTTAB)
    for folder in ("boot/efi", "srv/data"):
        (tree / folder).mkdir(parents=True, exist_ok=True)
    say("an initramfs that unlocks the root")
    version = _initramfs(tree)
    loader = _loader(tree)
    boot = scratch / "boot"
    (tree / "boot").rename(boot)
    (tree / "boot").mkdir()
    (boot / "grub").mkdir(exist_ok=True)
    (boot / "grub/grub.cfg").write_text(_MENU.format(version=version, volume=VOLUME, subvolume=SUBVOLUME))
    disk = RawDisk(path, _DISK_MIB)
    disk.partitions("gpt", [Part(_ESP_MIB, ESP), Part(_BOOT_MIB), Part(0)])
    disk.vfat(1, "ESP")
    run(["mmd", "-i", f"{path}@@{disk.start(1)}", "::EFI", "::EFI/debian"])
    run(["mcopy", "-i", f"{path}@@{disk.start(1)}", loader, "::EFI/debian/grubx64.efi"])
    disk.ext4(2, boot)
    root = scratch / "root.raw"
    say("a btrfs with a subvolume")
    run(["mkfs.btrfs", "--quiet", "--shrink", "--rootdir", tree, root])
    disk.luks(3, PASSPHRASE, root)
    root.unlink()
    _move_into_subvolume(disk.path)


def _initramfs(tree: Path) -> str:
    """An initramfs as the installer of an encrypted Debian leaves it; the kernel's release."""
    with (tree / "etc/initramfs-tools/modules").open("a") as modules:
        modules.write(_INITRAMFS_MODULES)
    with (tree / "etc/cryptsetup-initramfs/conf-hook").open("a") as hook:
        hook.write("CRYPTSETUP=y\n")
    run(["chroot", tree, "update-initramfs", "-u", "-k", "all"])
    (image,) = (tree / "boot").glob("initrd.img-*")
    # cryptsetup's hook writes the entry of the running system's root, and none in a folder on another machine.
    folder = tree / "root/cryptroot"
    folder.mkdir()
    (folder / "crypttab").write_text(CRYPTTAB)
    pack = ["cpio", "-o", "-H", "newc", "--quiet", "-R", "0:0"]
    names = b"cryptroot\ncryptroot/crypttab\n"
    added = subprocess.run(pack, input=names, cwd=tree / "root", capture_output=True, check=True).stdout
    before = image.read_bytes()
    image.write_bytes(before + b"\0" * (-len(before) % 4) + added)
    return image.name.removeprefix("initrd.img-")


def _loader(tree: Path) -> Path:
    """GRUB as one EFI program that looks for its menu by itself."""
    menu, program = "/root/find-menu.cfg", "/root/grubx64.efi"
    (tree / menu.lstrip("/")).write_text(_FIND_MENU)
    make = ["grub-mkimage", "-O", "x86_64-efi", "-p", "/grub", "-c", menu, "-o", program]
    run(["chroot", tree, *make, *_GRUB_MODULES])
    return tree / program.lstrip("/")


def _move_into_subvolume(disk: Path) -> None:
    """What is at the top of the file system, which grows to the size of the container."""
    volume = f"/dev/mapper/{VOLUME}"
    with appliance(disk) as guest:
        guest.cryptsetup_open("/dev/sda3", PASSPHRASE, VOLUME)
        guest.mount(volume, "/")
        guest.btrfs_filesystem_resize("/")
        guest.btrfs_subvolume_snapshot("/", f"/{SUBVOLUME}")
        for name in guest.ls("/"):
            if name != SUBVOLUME:
                guest.rm_rf(f"/{name}")
