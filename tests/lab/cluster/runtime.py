"""containerd's image store on the node: what is in it, and how an archive gets into it."""

from collections.abc import Sequence
from pathlib import Path

from hyper2kvm.run import run
from lab.cluster import namespace
from lab.cluster.images import ImageSet, ensure_packed
from lab.cluster.progress import run_long
from lab.cluster.services import CONTAINERD_SOCKET

_PINNED = "io.cri-containerd.pinned=pinned"
"""The kubelet's garbage collection spares pinned images."""


def stored(pid: int) -> set[str]:
    """Full names of the images that the node has."""
    return set(run(_ctr(pid, "images", "list", "--quiet"), deadline=30).text.split())


def ensure_loaded(pid: int, images: ImageSet, logs: Path) -> None:
    """Load a set of images, unless the node has all of it.

    Raises:
        HostError: ProgramFailed of containerd's client.
    """
    if not stored(pid).issuperset(images.references):
        load(pid, ensure_packed(images), images.references, logs)


def load(pid: int, archive: Path, references: Sequence[str], logs: Path) -> None:
    """Load a docker or OCI archive, and pin its images.

    Raises:
        HostError: ProgramFailed of containerd's client.
    """
    run_long(
        _ctr(pid, "images", "import", str(archive)),
        what=f"loading {archive.name}",
        log=logs / "image-import.log",
        deadline=600,
    )
    for reference in references:
        run(_ctr(pid, "images", "label", reference, _PINNED), deadline=30)


def tag(pid: int, reference: str, other: str) -> None:
    """Give an image another name.

    Raises:
        HostError: ProgramFailed of containerd's client.
    """
    run(_ctr(pid, "images", "tag", "--force", reference, other), deadline=30)


def _ctr(pid: int, *arguments: str) -> list[str]:
    return namespace.inside(pid, ["ctr", "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io", *arguments])
