"""The graft, judged by a kernel: this machine's own, with an initramfs that knows no virtio, in QEMU."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.linux import drivers, kernels
from hyper2kvm.guest.linux.modules import ModuleTree

from .folderguest import FolderGuest
from .situations import apply_here, situation

SECONDS = 180
MOUNTED = re.compile("requested /sbin/init|Mounted.*sysroot")
"""What initramfs-tools and systemd say when the root file system is mounted, which is empty here."""
FOUND = re.compile("h2k found vda")
NOT_FOUND = re.compile("ALERT!")

PACKERS = {
    "xz": ["xz", "--check=crc32", "-1"],
    "lzma": ["xz", "--format=lzma", "-1"],
    "bzip2": ["bzip2", "-1"],
    "lzo": ["lzop", "-1"],
    "zstd": ["zstd", "-q", "-1"],
    "lz4": ["lz4", "-q", "-l"],
}
"""Compressions that the kernel takes for its initramfs, beside gzip (Linux, usr/Kconfig)."""

INIT = """#!/bin/sh
mkdir -p /proc /sys
mount -t proc proc /proc
mount -t sysfs sysfs /sys
while read name; do modprobe "$name"; done < /conf/modules
for part in /h2k/*; do echo "h2k has ${part##*/}"; done
for disk in /sys/block/vd*; do echo "h2k found ${disk##*/}"; done
"""
"""In place of initramfs-tools' program: it loads what is listed, and ends, at which the kernel panics."""

pytestmark = [pytest.mark.guest, pytest.mark.timeout(3 * SECONDS)]


@pytest.fixture(scope="module")
def kernel() -> tuple[str, ModuleTree]:
    host = FolderGuest(Path("/"))
    version = kernels.default([each for each in kernels.find(host) if each.modules]).version
    tree = kernels.module_tree(host, version)
    assert tree is not None
    return version, tree


@pytest.fixture(scope="module")
def root_disk(tmp_path_factory) -> Path:
    disk = tmp_path_factory.mktemp("disk") / "root.img"
    with disk.open("wb") as image:
        image.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-L", "h2kroot", str(disk)], check=True)
    return disk


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Path:
    """Configuration of initramfs-tools that names the drivers of VMware's controller only."""
    settings = tmp_path_factory.mktemp("initramfs-tools") / "settings"
    shutil.copytree("/etc/initramfs-tools", settings)
    (settings / "initramfs.conf").write_text("MODULES=list\nBUSYBOX=auto\nCOMPRESS=gzip\nKEYMAP=n\n")
    (settings / "modules").write_text("vmw_pvscsi\next4\n")
    return settings


@pytest.fixture(scope="module")
def made(tmp_path_factory, kernel, settings) -> Path:
    """An image by initramfs-tools with these drivers alone."""
    made = tmp_path_factory.mktemp("made") / "made.img"
    mkinitramfs(settings, kernel[0], made)
    return made


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory, made) -> Path:
    """What that image holds, with a program of ours that starts in seconds."""
    folder = tmp_path_factory.mktemp("unpacked")
    subprocess.run(["unmkinitramfs", str(made), str(folder / "content")], check=True)
    content = folder / "content/main" if (folder / "content/main").is_dir() else folder / "content"
    (content / "init").write_text(INIT)
    return content


def mkinitramfs(settings: Path, version: str, made: Path) -> None:
    subprocess.run(["mkinitramfs", "-d", str(settings), "-o", str(made), version], capture_output=True, check=True)


def dracut(settings: Path, version: str, made: Path) -> None:
    """An image of drivers: those that are named here, and in the configuration."""
    alone = ["--kernel-only", "--no-hostonly", "--modules", "kernel-modules"]
    held = ["--drivers", "vmw_pvscsi ext4", "--filesystems", "ext4", "--gzip"]
    command = ["dracut", *alone, *held, "--confdir", str(settings), "--force", str(made), version]
    subprocess.run(command, capture_output=True, check=True)


def modules_of(image: Path) -> set[str]:
    """Names of the modules in an image, as initramfs-tools lists it."""
    listed = subprocess.run(["lsinitramfs", str(image)], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"/([^/]+)\.ko\b", listed))


def packed(content: Path, *names: str) -> bytes:
    """A cpio archive of parts of a folder."""
    listed = subprocess.run(["find", *names, "-print0"], cwd=content, capture_output=True, check=True).stdout
    pack = ["cpio", "-0", "-o", "-H", "newc", "--quiet", "-R", "0:0"]
    return subprocess.run(pack, input=listed, cwd=content, capture_output=True, check=True).stdout


def compressed(archive: bytes, compressor: str) -> bytes:
    return subprocess.run([*PACKERS[compressor], "-c"], input=archive, capture_output=True, check=True).stdout


def guest_with(folder: Path, version: str, tree: ModuleTree, image: bytes) -> FolderGuest:
    """A guest with this machine's kernel and an initramfs."""
    root = folder / "guest"
    modules = root / "lib/modules" / version
    (root / "etc/initramfs-tools").mkdir(parents=True)
    modules.mkdir(parents=True)
    (root / "boot").mkdir()
    shutil.copy(f"/boot/vmlinuz-{version}", root / "boot")
    shutil.copy(f"/boot/config-{version}", root / "boot")
    indexes = [path.name for path in Path(tree.folder).glob("modules.*")]
    for path in [*indexes, *(tree.paths[name] for name in tree.closure(kernels.DRIVERS))]:
        (modules / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(tree.folder, path), modules / path)
    (root / f"boot/initrd.img-{version}").write_bytes(image)
    guest = FolderGuest(root)
    assert not any(each.boots_from_virtio for each in kernels.find(guest))
    return guest


def repair(guest: FolderGuest) -> None:
    draft = Draft(guest)
    drivers.FIXER.plan(draft, situation(kernels=kernels.find(guest)))
    apply_here(draft, guest)
    assert all(each.boots_from_virtio for each in kernels.find(guest))


def shown(guest: FolderGuest, version: str, disk: Path, wanted: re.Pattern[str]) -> str:
    """What the kernel and its initramfs say on the serial console, until they say what is wanted or end."""
    boot = guest.root / "boot"
    machine = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-m", "512", "-nographic", "-no-reboot"]
    image = ["-kernel", str(boot / f"vmlinuz-{version}"), "-initrd", str(boot / f"initrd.img-{version}")]
    line = ["-append", "console=ttyS0 root=LABEL=h2kroot ro panic=-1 rootdelay=2"]
    drive = ["-net", "none", "-drive", f"file={disk},format=raw,if=virtio,snapshot=on"]
    command = ["timeout", str(SECONDS), *machine, *image, *line, *drive]
    said = []
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, errors="replace") as qemu:
        for text in qemu.stdout or ():
            said.append(text)
            if wanted.search(text):
                qemu.terminate()
                break
    return "".join(said)


def test_a_vmware_initramfs_does_not_find_its_root_on_virtio(tmp_path, kernel, made, root_disk):
    guest = guest_with(tmp_path, *kernel, made.read_bytes())
    said = shown(guest, kernel[0], root_disk, NOT_FOUND)
    assert NOT_FOUND.search(said)
    assert not MOUNTED.search(said)


def test_the_grafted_one_does(tmp_path, kernel, made, root_disk):
    guest = guest_with(tmp_path, *kernel, made.read_bytes())
    repair(guest)
    said = shown(guest, kernel[0], root_disk, MOUNTED)
    assert MOUNTED.search(said)
    assert not NOT_FOUND.search(said)


def test_dracuts_does_when_it_is_grafted(tmp_path, kernel, root_disk):
    made = tmp_path / "dracut.img"
    held = ["--no-hostonly", "--drivers", "vmw_pvscsi ext4", "--filesystems", "ext4", "--gzip"]
    left_out = ["--omit", "qemu qemu-net network lvm mdraid crypt multipath nvdimm plymouth i18n"]
    virtio = ["--omit-drivers", " ".join(kernel[1].closure(kernels.DRIVERS))]
    subprocess.run(["dracut", *held, *left_out, *virtio, str(made), kernel[0]], capture_output=True, check=True)
    guest = guest_with(tmp_path, *kernel, made.read_bytes())
    assert kernels.find(guest)[0].generator == "dracut"
    repair(guest)
    assert MOUNTED.search(shown(guest, kernel[0], root_disk, MOUNTED))


def test_the_next_rebuild_by_initramfs_tools_keeps_the_drivers(tmp_path, kernel, made, settings):
    guest = guest_with(tmp_path, *kernel, made.read_bytes())
    kept, rebuilt = guest.root / "etc/initramfs-tools", tmp_path / "rebuilt.img"
    shutil.copytree(settings, kept, dirs_exist_ok=True)
    assert {"virtio_blk", "virtio_pci"}.isdisjoint(modules_of(made))
    repair(guest)
    mkinitramfs(kept, kernel[0], rebuilt)
    assert {"virtio_blk", "virtio_pci", "vmw_pvscsi"} <= modules_of(rebuilt)


def test_the_next_rebuild_by_dracut_keeps_the_drivers(tmp_path, kernel, made):
    guest = guest_with(tmp_path, *kernel, made.read_bytes())
    kept, rebuilt = guest.root / "etc/dracut.conf.d", tmp_path / "rebuilt.img"
    kept.mkdir()
    dracut(kept, kernel[0], rebuilt)
    assert {"virtio_blk", "virtio_pci"}.isdisjoint(modules_of(rebuilt))
    repair(guest)
    dracut(kept, kernel[0], rebuilt)
    assert {"virtio_blk", "virtio_pci", "vmw_pvscsi"} <= modules_of(rebuilt)


# lz4's legacy format has no end of its own: what follows is part of it.
@pytest.mark.parametrize("compressors", [("xz", "lzma", "bzip2", "lzo", "zstd"), ("lz4",)], ids=", ".join)
def test_a_kernel_finds_the_graft_behind_every_compression(tmp_path, kernel, root_disk, unpacked, compressors):
    """One after the other in one image: a kernel that misses one misses what comes after it."""
    *before, last = compressors
    image = b""
    for compressor in before:
        marker = tmp_path / compressor / "h2k" / compressor
        marker.mkdir(parents=True)
        part = compressed(packed(tmp_path / compressor, "h2k"), compressor)
        image += part + bytes(-len(part) % 4)
    guest = guest_with(tmp_path, *kernel, image + compressed(packed(unpacked, "."), last))
    repair(guest)
    said = shown(guest, kernel[0], root_disk, FOUND)
    assert FOUND.search(said), said[-3000:]
    assert set(re.findall(r"h2k has (\w+)", said)) == set(before)


def test_a_kernel_finds_the_graft_behind_ubuntus_archives(tmp_path, kernel, root_disk, unpacked):
    """Microcode and then modules, neither compressed, before what is compressed with zstd."""
    microcode = tmp_path / "early/kernel/x86/microcode"
    microcode.mkdir(parents=True)
    (microcode / "GenuineIntel.bin").write_bytes(bytes(4096))
    folder = f"usr/lib/modules/{kernel[0]}"
    folders = packed(unpacked, "usr", "usr/lib", "usr/lib/modules", folder, "-maxdepth", "0")
    early = packed(tmp_path / "early", "kernel") + folders + packed(unpacked, f"{folder}/kernel")
    guest = guest_with(tmp_path, *kernel, early + compressed(packed(unpacked, "."), "zstd"))
    repair(guest)
    said = shown(guest, kernel[0], root_disk, FOUND)
    assert FOUND.search(said), said[-3000:]
