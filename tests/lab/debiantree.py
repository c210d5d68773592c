"""The part of a Debian system that INSPECT and FIX look at, as files in memory: no program in it runs.

The kernel is a name, its modules are their own paths as bytes, and its initramfs is what initramfs-tools makes on a
VMware guest: the driver of the old controller and none of virtio.
"""

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

VERSION = "6.1.0-9-amd64"
INITRAMFS = f"/boot/initrd.img-{VERSION}"

_OS_RELEASE = """PRETTY_NAME="{name}"
NAME="{name}"
VERSION_ID="{version}"
ID={id}
"""
_MODULES = {
    "kernel/drivers/virtio/virtio.ko": (),
    "kernel/drivers/virtio/virtio_ring.ko": ("kernel/drivers/virtio/virtio.ko",),
    "kernel/drivers/virtio/virtio_pci.ko": ("kernel/drivers/virtio/virtio_ring.ko", "kernel/drivers/virtio/virtio.ko"),
    "kernel/drivers/block/virtio_blk.ko": ("kernel/drivers/virtio/virtio_ring.ko", "kernel/drivers/virtio/virtio.ko"),
    "kernel/drivers/scsi/virtio_scsi.ko": ("kernel/drivers/virtio/virtio_ring.ko", "kernel/drivers/virtio/virtio.ko"),
    "kernel/drivers/net/virtio_net.ko": ("kernel/drivers/virtio/virtio_ring.ko", "kernel/drivers/virtio/virtio.ko"),
    "kernel/drivers/scsi/vmw_pvscsi.ko": (),
}


def release(id_: str = "debian", name: str = "Debian GNU/Linux 12 (bookworm)", version: str = "12") -> bytes:
    """An os-release."""
    return _OS_RELEASE.format(id=id_, name=name, version=version).encode()


def files(fstab: str, more: Mapping[str, bytes] | None = None) -> dict[str, bytes]:
    """A system's files by path, with a kernel."""
    modules = f"/usr/lib/modules/{VERSION}"
    dependencies = "".join(f"{path}: {' '.join(needs)}".rstrip() + "\n" for path, needs in _MODULES.items())
    return {
        "/usr/lib/os-release": release(),
        "/etc/hostname": b"web01\n",
        "/etc/fstab": fstab.encode(),
        "/usr/bin/sh": Path("/bin/sh").read_bytes()[:64],
        "/usr/bin/apt-get": b"",
        "/usr/lib/systemd/systemd": b"",
        "/boot/grub/grub.cfg": f"linux /vmlinuz-{VERSION} root=/dev/sda1 ro quiet\n".encode(),
        f"/boot/vmlinuz-{VERSION}": b"kernel",
        f"/boot/config-{VERSION}": b"\nCONFIG_RD_GZIP=y\n",
        INITRAMFS: initramfs(),
        **{f"{modules}/{path}": path.encode() for path in _MODULES},
        f"{modules}/modules.dep": dependencies.encode(),
        f"{modules}/modules.builtin": b"",
        f"{modules}/modules.alias": b"",
        f"{modules}/modules.softdep": b"",
        **(more or {}),
    }


LINKS = {
    "/bin": "usr/bin",
    "/sbin": "usr/sbin",
    "/lib": "usr/lib",
    "/usr/sbin/init": "/lib/systemd/systemd",
    "/etc/os-release": "../usr/lib/os-release",
}
"""Links of a merged /usr."""


def initramfs() -> bytes:
    """An image with the driver of VMware's controller alone, packed by cpio and gzip."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "lib").symlink_to("usr/lib")
        for path, content in {
            "conf/modules": b"vmw_pvscsi\n",
            "conf/initramfs.conf": b"MODULES=dep\n",
            "scripts/functions": b"#!/bin/sh\n",
            f"usr/lib/modules/{VERSION}/kernel/drivers/scsi/vmw_pvscsi.ko": b"driver",
        }.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        names = subprocess.run(["find", ".", "-print0"], cwd=root, capture_output=True, check=True).stdout
        pack = ["cpio", "-0", "-o", "-H", "newc", "--quiet", "-R", "0:0"]
        packed = subprocess.run(pack, input=names, cwd=root, capture_output=True, check=True).stdout
    return subprocess.run(["gzip", "-nc"], input=packed, capture_output=True, check=True).stdout


def archive(contents: Mapping[str, bytes], links: Mapping[str, str] = LINKS, folders: tuple[str, ...] = ()) -> bytes:
    """A tar of files, links and folders, to be unpacked into a root file system."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for path in folders:
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for path, target in links.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
        for path, content in contents.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return made.getvalue()
