"""A guest that is made in seconds and never started, for tests of what comes before and after the boot check.

INSPECT and FIX see a Debian: real kernel modules and indexes of the kernel that is installed here, two kernels, an
initramfs with VMware's driver alone, the names of VMware's devices. No boot loader and no program in it runs.
"""

import functools
import gzip
import hashlib
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from lab import debiantree
from lab.guests.build import AFTER_SNAPSHOT, INTERFACE, MARKER, OLD_FSTAB
from lab.guests.disks import DATA_FILE, SYSTEM_FILE, data, run
from lab.guests.exports import start_vmx, write_changes, write_ova
from lab.guests.sample import SampleGuest
from lab.rawdisk import Part, RawDisk, unpacked

SYSTEM_MIB = 128
DATA_MIB = 32
NAME = "tiny"
ADDRESS = "192.0.2.30/24"
MAC = "00:50:56:9a:30:01"
OLDER = "6.1.0-9-amd64"
"""The second kernel, whose modules are the first one's under another version."""

_FSTAB = (
    "/dev/sda1 / ext4 errors=remount-ro 0 1\n"
    "/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:1:0-part1 /srv/data ext4 defaults 0 2\n"
)
_INTERFACES = f"auto {INTERFACE}\niface {INTERFACE} inet static\n    address {ADDRESS}\n"
_TOOLS = {
    "/usr/bin/vmtoolsd": b"",
    "/usr/lib/systemd/system/open-vm-tools.service": b"[Service]\nExecStart=/usr/bin/vmtoolsd\n",
}
_TOOLS_UNIT = "/etc/systemd/system/multi-user.target.wants/open-vm-tools.service"
_STATUS = "Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\nDescription: {name}\n\n"
_PACKAGES = ("base-files", "initramfs-tools", "ifupdown", "open-vm-tools", "systemd")
_GRUB = """menuentry 'Debian GNU/Linux, with Linux {version}' {{
\tlinux\t/boot/vmlinuz-{version} root=/dev/sda1 ro quiet
\tinitrd\t/boot/initrd.img-{version}
}}
"""
_BOOT_SECTOR = (
    b"\xeb\x63\x90".ljust(0x65, b"\0")
    + b"\xf4\xeb\xfd".ljust(0x11B, b"\0")
    + b"GRUB \0Geom\0Hard Disk\0Read\0 Error\r\n\0"
)
"""GRUB's jump and the words by which it is known; in place of its code, a loop that halts."""

_MODULES = ("virtio_pci", "virtio_blk", "virtio_scsi", "virtio_net", "vmw_pvscsi", "vmxnet3", "ext4")
_INITRAMFS = ("vmw_pvscsi", "vmxnet3", "ext4")


def tiny_guest(folder: Path) -> SampleGuest:
    """Make the guest in a new folder: raw disks, a VMX with a snapshot, an OVA. Takes about three seconds.

    Raises:
        RuntimeError: no Debian kernel is installed here.
    """
    folder.mkdir(parents=True)
    guest = SampleGuest(
        name=NAME,
        firmware="bios",
        interface=INTERFACE,
        address=ADDRESS,
        mac=MAC,
        files={SYSTEM_FILE: _digest(data(SYSTEM_FILE, 2)), DATA_FILE: _digest(data(DATA_FILE, 4))},
        marker=MARKER,
        folder=folder,
    )
    system, second = guest.disks
    _system_disk(system, folder / "tree")
    _data_disk(second, folder / "tree")
    newest = start_vmx(guest, "monolithicSparse")
    before = folder / "before.raw"
    shutil.copyfile(system, before)
    _change_after_snapshot(system, folder)
    write_changes(before, system, newest)
    before.unlink()
    write_ova(guest, folder)
    guest.save()
    return guest


def _system_disk(path: Path, tree: Path) -> None:
    disk = RawDisk(path, SYSTEM_MIB)
    disk.partitions("dos", [Part(0)])
    disk.write(0, _BOOT_SECTOR)
    disk.ext4(1, _system_tree(tree))
    shutil.rmtree(tree)


def _data_disk(path: Path, tree: Path) -> None:
    disk = RawDisk(path, DATA_MIB)
    disk.partitions("dos", [Part(0)])
    disk.ext4(1, unpacked(tree, {Path(DATA_FILE).name: data(DATA_FILE, 4)}, {}))
    shutil.rmtree(tree)


def _system_tree(tree: Path) -> Path:
    kernel = _kernel()
    versions = (kernel.name, OLDER)
    files = {
        "/etc/hostname": f"{NAME}\n".encode(),
        "/etc/fstab": OLD_FSTAB.encode(),
        "/etc/network/interfaces": _INTERFACES.encode(),
        "/usr/lib/os-release": debiantree.release(),
        "/usr/bin/sh": Path("/bin/sh").read_bytes(),
        "/usr/bin/apt-get": b"",
        "/usr/lib/systemd/systemd": b"",
        "/var/lib/dpkg/status": "".join(_STATUS.format(name=name) for name in _PACKAGES).encode(),
        "/boot/grub/grub.cfg": "".join(_GRUB.format(version=version) for version in versions).encode(),
        "/var/lib/dpkg/info/open-vm-tools.list": "".join(f"{path}\n" for path in ("/.", *_TOOLS)).encode(),
        SYSTEM_FILE: data(SYSTEM_FILE, 2),
    }
    unpacked(tree, files | _TOOLS, debiantree.LINKS | {_TOOLS_UNIT: "/lib/systemd/system/open-vm-tools.service"})
    (tree / DATA_FILE.lstrip("/")).parent.mkdir(parents=True)
    for version in versions:
        _install(kernel, tree, version)
    return tree


def _install(kernel: Path, tree: Path, version: str) -> None:
    """The kernel's image, modules with their indexes, and an initramfs, under a version."""
    modules = tree / "usr/lib/modules" / version
    paths = _modules(kernel, _MODULES)
    for path in (*paths, "modules.order", "modules.builtin", "modules.builtin.modinfo"):
        (modules / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kernel / path, modules / path)
    run(["depmod", "--basedir", str(tree / "usr"), version])
    for name in ("vmlinuz", "config"):
        shutil.copyfile(f"/boot/{name}-{kernel.name}", tree / "boot" / f"{name}-{version}")
    drivers = {f"usr/lib/modules/{version}/{path}": kernel / path for path in _modules(kernel, _INITRAMFS)}
    (tree / "boot" / f"initrd.img-{version}").write_bytes(_initramfs(drivers, tree.with_name("initramfs")))


def _initramfs(drivers: Mapping[str, Path], scratch: Path) -> bytes:
    """An image with these drivers alone, packed as initramfs-tools packs it."""
    files = {path: source.read_bytes() for path, source in drivers.items()}
    files |= {"conf/initramfs.conf": b"MODULES=dep\n", "scripts/functions": b"#!/bin/sh\n"}
    unpacked(scratch, files, {"lib": "usr/lib"})
    names = subprocess.run(["find", ".", "-print0"], cwd=scratch, capture_output=True, check=True).stdout
    pack = ["cpio", "-0", "-o", "-H", "newc", "--quiet", "-R", "0:0"]
    packed = subprocess.run(pack, input=names, cwd=scratch, capture_output=True, check=True).stdout
    shutil.rmtree(scratch)
    return gzip.compress(packed, 1)


def _change_after_snapshot(disk: Path, scratch: Path) -> None:
    """Write what only the newest link is to hold into the raw image."""
    fstab, marker = scratch / "fstab", scratch / "marker"
    fstab.write_text(_FSTAB)
    marker.write_text(AFTER_SNAPSHOT)
    commands = scratch / "commands"
    commands.write_text(f"rm /etc/fstab\nwrite {fstab} /etc/fstab\nwrite {marker} {MARKER}\n")
    run(["debugfs", "-w", "-f", str(commands), f"{disk}?offset={1 << 20}"])
    for path in (fstab, marker, commands):
        path.unlink()


@functools.cache
def _modules(kernel: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    """Paths of modules with all that they need, below the kernel's folder."""
    command = ["modprobe", "--show-depends", "--ignore-install", "--set-version", kernel.name, "--all", *names]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return tuple(dict.fromkeys(_below(kernel, shown.splitlines())))


def _below(kernel: Path, lines: list[str]) -> Iterator[str]:
    for line in lines:
        kind, _, path = line.strip().partition(" ")
        if kind == "insmod":
            yield str(Path(path.split()[0]).relative_to(kernel))


def _kernel() -> Path:
    found = [path for path in Path("/lib/modules").glob("*-amd64") if (Path("/boot") / f"vmlinuz-{path.name}").exists()]
    if not found:
        raise RuntimeError("no Debian kernel is installed here: install linux-image-amd64")
    return max(found)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
