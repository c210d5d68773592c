"""Building the sample guests."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.cluster.progress import say
from lab.guests.debian import ensure_tree
from lab.guests.disks import SYSTEM_FILE, appliance, bios_disk, data, data_disk, known_files, qemu_img, run, uefi_disk
from lab.guests.encrypted import encrypted_disk
from lab.guests.exports import start_vmx, write_ova
from lab.guests.sample import GUESTS, UNFINISHED, SampleGuest, building, load, recipe_digest, remove_others

INTERFACE = "ens192"
MARKER = "/opt/app/after-the-snapshot"
AFTER_SNAPSHOT = "written after the snapshot\n"
OLD_FSTAB = "# replaced after the snapshot was taken\n/dev/sda9 / ext4 defaults 0 1\n"
_NETWORKD = "[Match]\n{match}\n\n[Network]\nAddress={address}\nGateway=192.0.2.1\n"
_IFUPDOWN = (
    "auto lo\niface lo inet loopback\n\nauto {interface}\niface {interface} inet static\n"
    "    address {address}\n    gateway 192.0.2.1\n"
)


Disk = Callable[[Path, Path, Path], None]
"""Makes the system's disk: its path, the tree that it holds, a folder for what is in between."""


@dataclass(frozen=True)
class Recipe:
    """How a guest differs from others.

    Attributes:
        firmware: `bios` or `efi`.
        address: its static address with prefix length.
        mac: its MAC address.
        configure: writes the network's configuration into the tree.
        disk: makes the system's disk.
        exported: what the newest link of its snapshot chain holds; None for a guest that is one raw image.
    """

    firmware: str
    address: str
    mac: str
    configure: Callable[[Path, "Recipe"], None]
    disk: Disk
    exported: "Exported | None"


@dataclass(frozen=True)
class Exported:
    """A guest with a second disk, as a VMX with a snapshot chain and as an OVA.

    Attributes:
        fstab: what the newest link of the chain holds; an older one has a wrong root.
        root: the root file system's device inside of an appliance.
        subformat: of the system disk's base in the VMX folder.
    """

    fstab: str
    root: str
    subformat: str


def _ifupdown(tree: Path, recipe: Recipe) -> None:
    text = _IFUPDOWN.format(interface=INTERFACE, address=recipe.address)
    (tree / "etc/network/interfaces").write_text(text)


def _networkd(tree: Path, recipe: Recipe, match: str = f"Name={INTERFACE}") -> None:
    text = _NETWORKD.format(match=match, address=recipe.address)
    (tree / "etc/systemd/network/10-lan.network").write_text(text)
    run(["chroot", tree, "systemctl", "enable", "-q", "systemd-networkd"])


def _networkd_by_address(tree: Path, recipe: Recipe) -> None:
    _networkd(tree, recipe, f"MACAddress={recipe.mac}")


RECIPES = {
    "debian12-bios": Recipe(
        firmware="bios",
        address="192.0.2.10/24",
        mac="00:50:56:9a:10:01",
        configure=_ifupdown,
        disk=lambda path, tree, _: bios_disk(path, tree),
        exported=Exported(
            fstab="/dev/sda1 / ext4 errors=remount-ro 0 1\n"
            "/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:1:0-part1 /srv/data ext4 defaults 0 2\n",
            root="/dev/sda1",
            subformat="monolithicSparse",
        ),
    ),
    "debian12-uefi": Recipe(
        firmware="efi",
        address="192.0.2.20/24",
        mac="00:50:56:9a:20:01",
        configure=_networkd,
        disk=uefi_disk,
        exported=Exported(
            fstab="/dev/mapper/vg0-root / ext4 errors=remount-ro 0 1\n"
            "/dev/sda2 /boot ext4 defaults 0 2\n"
            "/dev/sda1 /boot/efi vfat umask=0077 0 1\n"
            "/dev/mapper/vg0-swap none swap sw 0 0\n"
            "/dev/sdb1 /srv/data ext4 defaults 0 2\n",
            root="/dev/vg0/root",
            subformat="monolithicFlat",
        ),
    ),
    # Its MAC address is known to its own configuration alone: a raw image states none.
    "debian12-luks": Recipe(
        firmware="efi",
        address="192.0.2.30/24",
        mac="00:50:56:9a:30:01",
        configure=_networkd_by_address,
        disk=encrypted_disk,
        exported=None,
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
    tree = scratch / "tree"
    tree.mkdir()
    run(["tar", "--extract", f"--file={tar}", f"--directory={tree}", "--numeric-owner"])
    _configure(tree, guest, recipe)
    recipe.disk(guest.disks[0], tree, scratch)
    shutil.rmtree(tree)
    if recipe.exported is not None:
        _export(guest, recipe.exported, scratch)


def _export(guest: SampleGuest, exported: Exported, scratch: Path) -> None:
    system, second = guest.disks
    data_disk(second, scratch)
    say("exporting")
    newest = start_vmx(guest, exported.subformat)
    _change_after_snapshot(newest, exported)
    system.unlink()
    qemu_img("convert", "-f", "vmdk", "-O", "raw", newest.name, system, folder=guest.vmx)
    write_ova(guest, scratch)


def _configure(tree: Path, guest: SampleGuest, recipe: Recipe) -> None:
    (tree / "etc/hostname").write_text(f"{guest.name}\n")
    (tree / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {guest.name}\n")
    (tree / "etc/fstab").write_text(OLD_FSTAB)
    recipe.configure(tree, recipe)
    for path in ("srv/data", "opt/app"):
        (tree / path).mkdir(parents=True)
    (tree / SYSTEM_FILE.lstrip("/")).write_bytes(data(SYSTEM_FILE, 4))


def _change_after_snapshot(newest: Path, exported: Exported) -> None:
    """What only the newest link holds, and without which the guest does not come up."""
    with appliance(newest, formats=("vmdk",)) as guest:
        guest.mount(exported.root, "/")
        guest.write("/etc/fstab", exported.fstab)
        guest.write(MARKER, AFTER_SNAPSHOT)
