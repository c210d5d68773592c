"""Building the sample guests."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.cluster.progress import say
from lab.guests.debian import ensure_tree
from lab.guests.disks import SYSTEM_FILE, appliance, bios_disk, data, data_disk, known_files, qemu_img, run, uefi_disk
from lab.guests.exports import start_vmx, write_ova
from lab.guests.sample import GUESTS, UNFINISHED, SampleGuest, building, load, recipe_digest, remove_others

INTERFACE = "ens192"
MARKER = "/opt/app/after-the-snapshot"
AFTER_SNAPSHOT = "written after the snapshot\n"
OLD_FSTAB = "# replaced after the snapshot was taken\n/dev/sda9 / ext4 defaults 0 1\n"
_NETWORKD = "[Match]\nName={interface}\n\n[Network]\nAddress={address}\nGateway=192.0.2.1\n"
_IFUPDOWN = (
    "auto lo\niface lo inet loopback\n\nauto {interface}\niface {interface} inet static\n"
    "    address {address}\n    gateway 192.0.2.1\n"
)


@dataclass(frozen=True)
class Recipe:
    """How a guest differs from others.

    Attributes:
        firmware: `bios` or `efi`.
        address: its static address with prefix length.
        mac: its MAC address.
        fstab: what the newest link of the snapshot chain holds; an older one has a wrong root.
        root: the root file system's device inside of an appliance.
        subformat: of the system disk's base in the VMX folder.
        configure: writes the network's configuration into the tree.
    """

    firmware: str
    address: str
    mac: str
    fstab: str
    root: str
    subformat: str
    configure: Callable[[Path, str], None]


def _ifupdown(tree: Path, address: str) -> None:
    (tree / "etc/network/interfaces").write_text(_IFUPDOWN.format(interface=INTERFACE, address=address))


def _networkd(tree: Path, address: str) -> None:
    text = _NETWORKD.format(interface=INTERFACE, address=address)
    (tree / "etc/systemd/network/10-lan.network").write_text(text)
    run(["chroot", str(tree), "systemctl", "enable", "-q", "systemd-networkd"])


RECIPES = {
    "debian12-bios": Recipe(
        firmware="bios",
        address="192.0.2.10/24",
        mac="00:50:56:9a:10:01",
        fstab="/dev/sda1 / ext4 errors=remount-ro 0 1\n"
        "/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:1:0-part1 /srv/data ext4 defaults 0 2\n",
        root="/dev/sda1",
        subformat="monolithicSparse",
        configure=_ifupdown,
    ),
    "debian12-uefi": Recipe(
        firmware="efi",
        address="192.0.2.20/24",
        mac="00:50:56:9a:20:01",
        fstab="/dev/mapper/vg0-root / ext4 errors=remount-ro 0 1\n"
        "/dev/sda2 /boot ext4 defaults 0 2\n"
        "/dev/sda1 /boot/efi vfat umask=0077 0 1\n"
        "/dev/mapper/vg0-swap none swap sw 0 0\n"
        "/dev/sdb1 /srv/data ext4 defaults 0 2\n",
        root="/dev/vg0/root",
        subformat="monolithicFlat",
        configure=_networkd,
    ),
}


def ensure_guest(name: str) -> SampleGuest:
    """The guest, built when it is not cached: two minutes and more."""
    folder = GUESTS / f"{name}-{recipe_digest()}"
    if not folder.exists():
        with building():
            _ensure(name, folder)
    return load(folder)


def _ensure(name: str, folder: Path) -> None:
    if folder.exists():  # made by another process while this one waited
        return
    tar = ensure_tree()
    say(f"building {name}")
    with tempfile.TemporaryDirectory(dir=GUESTS, prefix=UNFINISHED) as unfinished:
        guest = _guest(name, Path(unfinished) / name)
        guest.folder.mkdir()
        _build(guest, RECIPES[name], tar, Path(unfinished))
        guest.save()
        guest.folder.rename(folder)
    remove_others(folder, f"{name}-*")
    say(f"{name} is built")


def _guest(name: str, folder: Path) -> SampleGuest:
    recipe = RECIPES[name]
    return SampleGuest(
        name=name,
        firmware=recipe.firmware,
        interface=INTERFACE,
        address=recipe.address,
        mac=recipe.mac,
        files=known_files(),
        marker=MARKER,
        folder=folder,
    )


def _build(guest: SampleGuest, recipe: Recipe, tar: Path, scratch: Path) -> None:
    system, second = guest.disks
    tree = scratch / "tree"
    tree.mkdir()
    run(["tar", "--extract", f"--file={tar}", f"--directory={tree}", "--numeric-owner"])
    _configure(tree, guest, recipe)
    if recipe.firmware == "efi":
        uefi_disk(system, tree, scratch)
    else:
        bios_disk(system, tree)
    shutil.rmtree(tree)
    data_disk(second, scratch)
    say("exporting")
    newest = start_vmx(guest, recipe.subformat)
    _change_after_snapshot(newest, recipe)
    system.unlink()
    qemu_img("convert", "-f", "vmdk", "-O", "raw", newest.name, system, folder=guest.vmx)
    write_ova(guest, scratch)


def _configure(tree: Path, guest: SampleGuest, recipe: Recipe) -> None:
    (tree / "etc/hostname").write_text(f"{guest.name}\n")
    (tree / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {guest.name}\n")
    (tree / "etc/fstab").write_text(OLD_FSTAB)
    recipe.configure(tree, recipe.address)
    for path in ("srv/data", "opt/app"):
        (tree / path).mkdir(parents=True)
    (tree / SYSTEM_FILE.lstrip("/")).write_bytes(data(SYSTEM_FILE, 4))


def _change_after_snapshot(newest: Path, recipe: Recipe) -> None:
    """What only the newest link holds, and without which the guest does not come up."""
    with appliance(newest, formats=("vmdk",)) as guest:
        guest.mount(recipe.root, "/")
        guest.write("/etc/fstab", recipe.fstab)
        guest.write(MARKER, AFTER_SNAPSHOT)
