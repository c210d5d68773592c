"""The graft, judged by a kernel: this machine's own, with an initramfs that knows no virtio, in QEMU."""

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
FOUND = "requested /sbin/init"
"""What initramfs-tools says when it has mounted the root file system, which is empty here."""
NOT_FOUND = "ALERT!"

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


def vmware_guest(folder: Path, version: str, tree: ModuleTree, compressor: str) -> FolderGuest:
    """A guest with this machine's kernel, whose initramfs holds the drivers of VMware's controller only."""
    settings = folder / "settings"
    shutil.copytree("/etc/initramfs-tools", settings)
    (settings / "initramfs.conf").write_text(f"MODULES=list\nBUSYBOX=auto\nCOMPRESS={compressor}\nKEYMAP=n\n")
    (settings / "modules").write_text("vmw_pvscsi\next4\n")
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
    made = root / f"boot/initrd.img-{version}"
    subprocess.run(["mkinitramfs", "-d", str(settings), "-o", str(made), version], capture_output=True, check=True)
    return FolderGuest(root)


def booted(guest: FolderGuest, version: str, disk: Path) -> str:
    """What the kernel and its initramfs say on the serial console, to the end: the machine stops at a panic."""
    boot = guest.root / "boot"
    machine = [
        "qemu-system-x86_64",
        "-machine",
        "q35",
        "-accel",
        "tcg",
        "-m",
        "512",
        "-nographic",
        "-no-reboot",
        "-net",
        "none",
    ]
    image = ["-kernel", str(boot / f"vmlinuz-{version}"), "-initrd", str(boot / f"initrd.img-{version}")]
    line = ["-append", "console=ttyS0 root=LABEL=h2kroot ro panic=-1 rootdelay=2"]
    drive = ["-drive", f"file={disk},format=raw,if=virtio,snapshot=on"]
    command = [*machine, *image, *line, *drive]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False)
    return ended.stdout.decode(errors="replace")


def test_a_vmware_initramfs_does_not_find_its_root_on_virtio(tmp_path, kernel, root_disk):
    guest = vmware_guest(tmp_path, *kernel, "gzip")
    said = booted(guest, kernel[0], root_disk)
    assert NOT_FOUND in said
    assert FOUND not in said


@pytest.mark.parametrize("compressor", ["gzip", "lz4", "zstd"])
def test_the_grafted_one_does(tmp_path, kernel, root_disk, compressor):
    guest = vmware_guest(tmp_path, *kernel, compressor)
    draft = Draft(guest)
    drivers.FIXER.plan(draft, situation(kernels=kernels.find(guest)))
    apply_here(draft, guest)
    assert all(each.boots_from_virtio for each in kernels.find(guest))
    said = booted(guest, kernel[0], root_disk)
    assert FOUND in said
    assert NOT_FOUND not in said
