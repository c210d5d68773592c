"""Debian as the lowest layer of images, made by mmdebstrap and cached."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.cluster.digest import digest
from lab.cluster.layout import CACHE
from lab.cluster.progress import run_long

_LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")

_ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
"""Whatever mmdebstrap mounts and starts ends with it, even when it is killed."""


@dataclass(frozen=True)
class Base:
    """A Debian file system.

    Attributes:
        suite: Debian's release.
        packages: beyond what is essential and apt.
    """

    suite: str
    packages: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Digest of this description, not of what Debian's mirrors hold today."""
        return digest(repr(self), *_LEFT_OUT)

    @property
    def path(self) -> Path:
        """The tar, an uncompressed layer."""
        return CACHE / "cluster" / "bases" / f"{self.suite}-{self.digest}.tar"


PLAIN = Base("bookworm")
"""Stands in for a registry's Debian under the project's own Containerfiles."""

TOOLS = Base(
    "bookworm",
    (
        "qemu-utils",
        "nbdkit",
        "ca-certificates",
        "util-linux",
        "e2fsprogs",
        "nginx-light",
        "curl",
        "iproute2",
        "openssl",
    ),
)
"""What CDI's importer runs (qemu-img, nbdkit), and what tests want in a pod."""

NFS = Base("bookworm", ("nfs-ganesha", "nfs-ganesha-vfs"))
"""A server of NFS that depends on no kernel's."""

HYPERVISOR = Base(
    "trixie",
    (
        "libvirt-daemon",
        "libvirt-daemon-driver-qemu",
        "libvirt-daemon-log",
        "libvirt-clients",
        "qemu-system-x86",
        "qemu-utils",
        "seabios",
        "ovmf",
        "swtpm",
        "swtpm-tools",
        "nftables",
        "iptables",
        "iproute2",
        "passt",
        "procps",
        "psmisc",
        "util-linux",
        "ca-certificates",
        "xorriso",
    ),
)
"""What virt-launcher and virt-handler expect around them. KubeVirt 1.7 asks for a newer libvirt than bookworm's."""


def ensure_base(base: Base) -> Path:
    """The base's tar, made when it is not cached. Call it while holding IMAGES.

    Raises:
        HostError: ProgramFailed with mmdebstrap's last lines.
    """
    if base.path.exists():
        return base.path
    base.path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = base.path.with_suffix(".unfinished.tar")
    with _scratch() as scratch:
        _mmdebstrap(base, unfinished, scratch)
    shutil.move(unfinished, base.path)
    return base.path


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for what is in between. That of a run that was killed goes first."""
    folder = CACHE / "cluster" / "bases" / "unpacked"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _mmdebstrap(base: Base, target: Path, scratch: Path) -> None:
    run_long(
        [
            *_ALONE,
            "mmdebstrap",
            "--mode=root",
            "--variant=minbase",
            '--aptopt=APT::Install-Recommends "false"',
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
            *([f"--include={','.join(base.packages)}"] if base.packages else []),
            base.suite,
            str(target),
        ],
        what=f"Debian {base.suite} with {len(base.packages)} packages",
        log=base.path.with_suffix(".log"),
        deadline=900,
        environment={"TMPDIR": str(scratch)},
    )
