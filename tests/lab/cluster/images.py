"""The images of the cluster's own pods: which programs on which base, under which names."""

import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lab.cluster.archive import Entry, Image, file_capability, write_archive, write_layer
from lab.cluster.bases import HYPERVISOR, NFS, TOOLS, Base, ensure_base
from lab.cluster.binaries import CDI, KUBERNETES, KUBEVIRT, VIRT_CHROOT
from lab.cluster.digest import digest
from lab.cluster.layout import CACHE
from lab.cluster.lock import IMAGES, alone
from lab.cluster.progress import say

REPOSITORY = "localhost/hyper2kvm-lab"
"""Nothing is ever pulled: the kubelet only needs a full name."""

_OTHERS = "whoever else packs images"

_CAP_NET_BIND_SERVICE = 10
_QEMU = 107
"""uid and gid of qemu in KubeVirt's images."""


@dataclass(frozen=True)
class ImageSet:
    """Images that share their layers, in one archive.

    Attributes:
        name: what the cache calls it.
        base: the lowest layer; None for an empty one.
        images: the images, with a short name as reference.
        ingredients: digests of what the upper layer is made from.
    """

    name: str
    base: Base | None
    images: tuple[Image, ...]
    ingredients: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Digest of all that the images are made from, this code among it: it is their tag."""
        code = (Path(__file__), Path(__file__).with_name("archive.py"))
        return digest(repr(self), *code, *([self.base.digest] if self.base else []))

    @property
    def path(self) -> Path:
        """The archive."""
        return CACHE / "cluster" / "images" / f"{self.name}-{self.digest}.tar"

    def reference(self, name: str) -> str:
        """Full name of one of its images."""
        return f"{REPOSITORY}/{name}:{self.digest}"

    @property
    def references(self) -> list[str]:
        """Full names of all its images."""
        return [self.reference(image.reference) for image in self.images]


_KUBEVIRT_CONTROL = ("operator", "api", "controller")
_KUBEVIRT_NODE = ("handler", "launcher", "launcher-monitor", "probe", "tail", "freezer")
_UNPRIVILEGED = "1001"
"""Pods of CDI's and KubeVirt's control planes ask for runAsNonRoot, which only a numeric user satisfies."""


def pause() -> ImageSet:
    """The container that holds a pod's namespaces."""
    return ImageSet("pause", None, (Image("pause", ["/pause"]),), (KUBERNETES.digest,))


def tools() -> ImageSet:
    """For the pods of tests: a shell, curl, nginx, qemu-img."""
    return ImageSet("tools", TOOLS, (Image("tools"),))


def nfs() -> ImageSet:
    """An NFS server, for the pods of tests. It is loaded by who wants it."""
    return ImageSet("nfs", NFS, (Image("nfs"),))


def cdi() -> ImageSet:
    """CDI's operator and all that it starts."""
    logging = [
        Image(f"cdi-{name}", [f"/usr/bin/cdi-{name}", "-alsologtostderr"], _UNPRIVILEGED)
        for name in ("controller", "apiserver", "importer", "uploadproxy", "uploadserver")
    ]
    operator = Image("cdi-operator", ["/usr/bin/cdi-operator"], _UNPRIVILEGED)
    cloner = Image("cdi-cloner", ["/usr/bin/cloner_startup.sh"], _UNPRIVILEGED)
    return ImageSet("cdi", TOOLS, (operator, cloner, *logging), (CDI.digest,))


def kubevirt() -> ImageSet:
    """KubeVirt's control plane, and its agents on the node and around each VM, which are root's."""
    control = [Image(f"virt-{name}", [f"/usr/bin/virt-{name}"], _UNPRIVILEGED) for name in _KUBEVIRT_CONTROL]
    agents = [Image(f"virt-{name}", [f"/usr/bin/virt-{name}"]) for name in ("handler", "launcher")]
    return ImageSet("kubevirt", HYPERVISOR, (*control, *agents), (KUBEVIRT.digest, VIRT_CHROOT.digest))


def ensure_bases(sets: Iterable[ImageSet]) -> None:
    """Make the lowest layers of the sets that are not packed yet: they need none of the programs.

    Raises:
        HostError: ProgramFailed.
    """
    for base in {one.base for one in sets if one.base and not one.path.exists()}:
        with alone(IMAGES, _OTHERS):
            ensure_base(base)


def ensure_packed(images: ImageSet) -> Path:
    """The archive of a set, packed when it is not cached. Older ones of the same name go."""
    if not images.path.exists():
        with alone(IMAGES, _OTHERS):
            if not images.path.exists():  # another process may have packed it while this one waited
                _pack(images)
    return images.path


def _pack(images: ImageSet) -> None:
    images.path.parent.mkdir(parents=True, exist_ok=True)
    layers = [ensure_base(images.base)] if images.base else []
    upper = images.path.with_suffix(".layer")
    entries = _UPPER_LAYERS[images.name]()
    if entries:
        write_layer(upper, entries)
        layers.append(upper)
    unfinished = images.path.with_suffix(".unfinished")
    named = [replace(image, reference=images.reference(image.reference)) for image in images.images]
    write_archive(unfinished, layers, named)
    for other in images.path.parent.glob(f"{images.name}-????????????.*"):
        if other != unfinished:  # older versions, and what a killed process left
            other.unlink()
    unfinished.rename(images.path)
    say(f"packed {images.name}: {images.path.stat().st_size >> 20} MiB")


def _pause_layer() -> list[Entry]:
    return [Entry("pause", KUBERNETES.program("pause"))]


def _cdi_layer() -> list[Entry]:
    names = ["cdi-containerimage-server", *(image.reference for image in cdi().images)]
    startup = Entry("usr/bin/cloner_startup.sh", CDI.source("cloner_startup.sh"))
    return [startup, *(Entry(f"usr/bin/{name}", CDI.program(name)) for name in names)]


def _kubevirt_layer() -> list[Entry]:
    profiles = Entry("profile-data", mode=0o777)
    return [profiles, *_programs(_KUBEVIRT_CONTROL + _KUBEVIRT_NODE), *_users(), *_libvirt(), *_firmware()]


def _programs(names: Sequence[str]) -> list[Entry]:
    # virt-launcher-monitor starts virt-launcher with this capability for DHCP's port 67.
    capability = {"launcher-monitor": file_capability(_CAP_NET_BIND_SERVICE)}
    return [
        Entry(f"usr/bin/virt-{name}", KUBEVIRT.program(f"virt-{name}"), capabilities=capability.get(name, b""))
        for name in names
    ]


def _users() -> list[Entry]:
    """Passwd and group with KubeVirt's qemu, which Debian's libvirt calls libvirt-qemu and numbers 64055."""
    with tarfile.open(ensure_base(HYPERVISOR)) as base:
        passwd = _member(base, "./etc/passwd") + f"qemu:x:{_QEMU}:{_QEMU}:qemu:/home/qemu:/bin/bash\n".encode()
        group = _member(base, "./etc/group") + f"qemu:x:{_QEMU}:\n".encode()
    return [
        Entry("etc/passwd", passwd, mode=0o644),
        Entry("etc/group", group, mode=0o644),
        Entry("home/qemu", owner=_QEMU),
    ]


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    return file.read() if file else b""


def _libvirt() -> list[Entry]:
    return [
        Entry("etc/libvirt/qemu.conf", KUBEVIRT.source("qemu.conf"), mode=0o644),
        Entry("etc/libvirt/virtqemud.conf", KUBEVIRT.source("virtqemud.conf"), mode=0o644),
        Entry("etc/libvirt/virtlogd.conf", b"", mode=0o644),
        Entry("etc/libvirt/hooks/qemu", KUBEVIRT.source("qemu")),
        Entry("usr/bin/node-labeller.sh", KUBEVIRT.source("node-labeller.sh")),
        Entry("usr/sbin/virtqemud", Path(__file__).with_name("etc") / "virtqemud"),
        Entry("usr/bin/virt-chroot", VIRT_CHROOT.program("virt-chroot")),
        Entry("var/lib/kubevirt-node-labeller"),
        Entry("var/log/libvirt"),
        Entry("var/run", link="../run"),
    ]


def _firmware() -> list[Entry]:
    """KubeVirt asks for Fedora's names; Debian has the 4 MiB builds only."""
    names = {
        "OVMF_CODE.fd": "OVMF_CODE_4M.fd",
        "OVMF_VARS.fd": "OVMF_VARS_4M.fd",
        "OVMF_CODE.secboot.fd": "OVMF_CODE_4M.secboot.fd",
        "OVMF_VARS.secboot.fd": "OVMF_VARS_4M.ms.fd",
    }
    return [Entry(f"usr/share/OVMF/{name}", link=target) for name, target in names.items()]


_UPPER_LAYERS = {
    "pause": _pause_layer,
    "tools": list[Entry],
    "nfs": list[Entry],
    "cdi": _cdi_layer,
    "kubevirt": _kubevirt_layer,
}
