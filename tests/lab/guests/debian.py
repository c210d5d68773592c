"""A Debian system as VMware's administrators install it: an initramfs with VMware's drivers alone, open-vm-tools."""

import hashlib
import shlex
import tempfile
from pathlib import Path

from lab.cluster.progress import run_long, say
from lab.guests.sample import GUESTS, UNFINISHED, remove_others

SUITE = "bookworm"
PACKAGES = (
    "linux-image-amd64",
    "initramfs-tools",
    "systemd-sysv",
    "udev",
    "dbus",
    "ifupdown",
    "iproute2",
    "kmod",
    "procps",
    "open-vm-tools",
    "lvm2",
    "btrfs-progs",
    "cryptsetup-initramfs",
    "dosfstools",
    "grub2-common",
    "grub-pc-bin",
    "grub-efi-amd64-bin",
    "grub-efi-amd64-signed",
    "shim-signed",
)
_LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")
_INITRAMFS_MODULES = ("vmw_pvscsi", "vmxnet3", "sd_mod", "sr_mod", "ahci", "ext4", "dm_mod")
"""What `MODULES=dep` finds on a VMware virtual machine."""
_ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
"""Whatever mmdebstrap mounts and starts ends with it, even when it is killed."""
_SECONDS = 1500


def ensure_tree() -> Path:
    """The tar of the system, made when it is not cached. Call it while holding `building`.

    Raises:
        HostError: mmdebstrap failed.
        RuntimeError: its initramfs holds a virtio driver: the guest would prove nothing.
    """
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    tar = GUESTS / f"tree-{recipe}.tar"
    if tar.exists():
        return tar
    with tempfile.TemporaryDirectory(dir=GUESTS, prefix=UNFINISHED) as unfinished:
        made = Path(unfinished) / tar.name
        listing = Path(unfinished) / "initramfs.txt"
        run_long(
            [*_ALONE, *_mmdebstrap(made, listing)],
            what=f"Debian {SUITE} with a kernel and {len(PACKAGES)} packages",
            log=GUESTS / "mmdebstrap.log",
            deadline=_SECONDS,
            environment={"TMPDIR": unfinished},
        )
        check_initramfs(listing.read_text())
        made.rename(tar)
    remove_others(tar, "tree-*.tar")
    say(f"the tree takes {tar.stat().st_size >> 20} MiB")
    return tar


def check_initramfs(listing: str) -> None:
    """Whether an initramfs, of which this is what lsinitramfs(8) says, starts on VMware alone.

    Raises:
        RuntimeError: it does not hold vmw_pvscsi, or it holds something of virtio.
    """
    if "virtio" in listing or "/vmw_pvscsi.ko" not in listing:
        raise RuntimeError("the initramfs is not one of a VMware guest: it must hold vmw_pvscsi and nothing of virtio")


def _mmdebstrap(tar: Path, listing: Path) -> list[str]:
    modules = "\\n".join(_INITRAMFS_MODULES)
    return [
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        '--aptopt=APT::Install-Recommends "false"',
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
        f"--include={','.join(PACKAGES)}",
        "--customize-hook=sed -i s/^MODULES=.*/MODULES=list/ $1/etc/initramfs-tools/initramfs.conf",
        f'--customize-hook=printf "{modules}\\n" > $1/etc/initramfs-tools/modules',
        "--customize-hook=chroot $1 update-initramfs -u -k all",
        f"--customize-hook=chroot $1 sh -c 'lsinitramfs /boot/initrd.img-*' > {shlex.quote(str(listing))}",
        SUITE,
        str(tar),
    ]
