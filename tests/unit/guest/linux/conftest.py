"""Small kernels and initramfs images, made with the usual tools, for the tests of this folder."""

import lzma
import subprocess
from pathlib import Path

import pytest

VERSION = "6.1.0-9-amd64"
DEPENDENCIES = {
    "kernel/drivers/virtio/virtio.ko": "",
    "kernel/drivers/virtio/virtio_ring.ko": "kernel/drivers/virtio/virtio.ko",
    "kernel/drivers/virtio/virtio_pci_modern_dev.ko": "",
    "kernel/drivers/virtio/virtio_pci_legacy_dev.ko": "",
    "kernel/drivers/virtio/virtio_pci.ko": (
        "kernel/drivers/virtio/virtio_pci_legacy_dev.ko kernel/drivers/virtio/virtio_pci_modern_dev.ko "
        "kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko"
    ),
    "kernel/drivers/block/virtio_blk.ko": "kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko",
    "kernel/drivers/scsi/virtio_scsi.ko": (
        "kernel/drivers/scsi/scsi_mod.ko kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko"
    ),
    "kernel/drivers/net/virtio_net.ko": (
        "kernel/drivers/net/net_failover.ko kernel/net/core/failover.ko kernel/drivers/virtio/virtio_ring.ko "
        "kernel/drivers/virtio/virtio.ko"
    ),
    "kernel/drivers/net/net_failover.ko": "kernel/net/core/failover.ko",
    "kernel/net/core/failover.ko": "",
    "kernel/drivers/scsi/scsi_mod.ko": "",
    "kernel/drivers/scsi/sd_mod.ko": "kernel/drivers/scsi/scsi_mod.ko",
    "kernel/drivers/scsi/vmw_pvscsi.ko": "kernel/drivers/scsi/scsi_mod.ko",
}


def module_files(version: str = VERSION, *, suffix: str = "", built_in: tuple[str, ...] = ()) -> dict[str, bytes]:
    """A kernel's folder of modules; the ones that are built in have no file. `.xz` modules are packed."""
    folder = f"/lib/modules/{version}"
    there = {path: needs for path, needs in DEPENDENCIES.items() if Path(path).stem not in built_in}

    def packed(path: str) -> bytes:
        return lzma.compress(path.encode(), check=lzma.CHECK_CRC32) if suffix == ".xz" else path.encode()

    lines = [
        f"{path}{suffix}: {' '.join(f'{other}{suffix}' for other in needs.split() if other in there)}".rstrip()
        for path, needs in there.items()
    ]
    return {
        **{f"{folder}/{path}{suffix}": packed(path) for path in there},
        f"{folder}/modules.dep": ("\n".join(lines) + "\n").encode(),
        f"{folder}/modules.builtin": "".join(f"{p}\n" for p in DEPENDENCIES if Path(p).stem in built_in).encode(),
        f"{folder}/modules.alias": b"alias virtio:d00000002v* virtio_blk\n",
        f"{folder}/modules.softdep": b"# Soft dependencies\n",
    }


COMPRESSORS = {
    "plain": None,
    "gzip": ["gzip", "-n"],
    "xz": ["xz", "--check=crc32"],
    "zstd": ["zstd", "-q"],
    "lz4": ["lz4", "-q", "-l"],
    "lzma": ["xz", "--format=lzma"],
    "bzip2": ["bzip2"],
    "lzo": ["lzop"],
}


class ImageMaker:
    """Makes initramfs images with cpio and the compressors that distributions use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made = 0

    def archive(self, files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
        self.made += 1
        root = self.folder / str(self.made)
        root.mkdir()
        for path, target in (links or {}).items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).symlink_to(target)
        for path, content in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        names = subprocess.run(["find", ".", "-print0"], cwd=root, capture_output=True, check=True).stdout
        packer = ["cpio", "-0", "-o", "-H", "newc", "--quiet", "-R", "0:0"]
        return subprocess.run(packer, input=names, cwd=root, capture_output=True, check=True).stdout

    def image(
        self,
        files: dict[str, bytes],
        links: dict[str, str] | None = None,
        *,
        compressor: str = "zstd",
        early: bool = False,
    ) -> bytes:
        archive, program = self.archive(files, links), COMPRESSORS[compressor]
        if program:
            archive = subprocess.run([*program, "-c"], input=archive, capture_output=True, check=True).stdout
        microcode = self.archive({"kernel/x86/microcode/GenuineIntel.bin": b"\x01" * 3000}) if early else b""
        return microcode + archive

    def initramfs_tools(
        self,
        version: str = VERSION,
        *,
        modules: tuple[str, ...] = ("kernel/drivers/scsi/vmw_pvscsi.ko", "kernel/drivers/scsi/scsi_mod.ko"),
        compressor: str = "zstd",
        early: bool = False,
        extra: dict[str, bytes] | None = None,
    ) -> bytes:
        """An image as mkinitramfs makes it on a merged /usr."""
        folder = f"usr/lib/modules/{version}"
        files = {
            "conf/initramfs.conf": b"MODULES=dep\n",
            "conf/modules": b"vmw_pvscsi\n",
            "scripts/functions": b"#!/bin/sh\n",
            "usr/bin/sh": b"\x7fELF",
            f"{folder}/modules.dep": b"".join(f"{path}:\n".encode() for path in modules),
            **{f"{folder}/{path}": path.encode() for path in modules},
            **(extra or {}),
        }
        return self.image(files, {"lib": "usr/lib", "bin": "usr/bin"}, compressor=compressor, early=early)


@pytest.fixture
def images(tmp_path) -> ImageMaker:
    folder = tmp_path / "images"
    folder.mkdir()
    return ImageMaker(folder)
