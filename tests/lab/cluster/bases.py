"""Debian as the lowest layer of images, made by mmdebstrap and cached."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from lab.cluster.digest import digest
from lab.cluster.layout import CACHE
from lab.cluster.progress import run_long

_LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")


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
    """The base's tar, made when it is not cached.

    Raises:
        HostError: ProgramFailed with mmdebstrap's last lines.
    """
    if base.path.exists():
        return base.path
    base.path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = base.path.with_suffix(".unfinished.tar")
    run_long(
        [
            "mmdebstrap",
            "--mode=root",
            "--variant=minbase",
            '--aptopt=APT::Install-Recommends "false"',
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
            *([f"--include={','.join(base.packages)}"] if base.packages else []),
            base.suite,
            str(unfinished),
        ],
        what=f"Debian {base.suite} with {len(base.packages)} packages",
        log=base.path.with_suffix(".log"),
        deadline=900,
    )
    shutil.move(unfinished, base.path)
    return base.path
