"""The project's own images, from the same Containerfiles that users build, on a Debian that is made here."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hyper2kvm.run import run
from lab.cluster.archive import Image, write_archive
from lab.cluster.bases import PLAIN, Base, ensure_base
from lab.cluster.layout import CACHE
from lab.cluster.progress import run_long, say

_STORAGE = CACHE / "cluster" / "buildah"
"""Layers of earlier builds: an unchanged instruction is not run again."""

_STORAGE_LIMIT = 19 << 28
"""Bytes of layers; both images of one version take about 4 GiB, and each further version 200 MiB. All caches together
stay under 20 GB."""

_REMEMBERED = Path("/var/lib/containers")
"""Where buildah keeps what it knows of blobs in registries. No option puts it elsewhere (containers/image, blobinfocache)."""

_TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
_TRUSTED_INSIDE = "/run/trusted-by-the-host.crt"
"""Builds trust whom the host trusts: a machine behind a proxy has the proxy's authority there."""


@dataclass(frozen=True)
class Build:
    """One image to build.

    Attributes:
        containerfile: what to build.
        context: the folder that COPY copies from.
        tag: full name of the image.
        base: what ARG BASE is set to.
    """

    containerfile: Path
    context: Path
    tag: str
    base: Base = PLAIN


def build_image(build: Build, archive: Path) -> Path:
    """Build a Containerfile with buildah, without a daemon, and write a docker archive.

    Args:
        build: what to build.
        archive: where the archive goes; replaced when it exists.

    Raises:
        HostError: ProgramFailed with the last lines of the failing instruction.
    """
    with _no_trace():
        _build(build, _ensure_base_image(build.base), archive)
    return archive


def _build(build: Build, base: str, archive: Path) -> None:
    log = archive.with_suffix(".log")
    archive.parent.mkdir(parents=True, exist_ok=True)
    run_long(
        _buildah(
            *("bud", "--isolation=chroot", "--layers", "--pull-never"),
            f"--build-arg=BASE={base}",
            f"--build-arg=PIP_CERT={_TRUSTED_INSIDE}",
            f"--volume={_TRUSTED}:{_TRUSTED_INSIDE}:ro",
            f"--file={build.containerfile}",
            f"--tag={build.tag}",
            str(build.context),
        ),
        what=f"building {build.tag}",
        log=log,
        deadline=1800,
    )
    unfinished = archive.with_suffix(".unfinished.tar")
    unfinished.unlink(missing_ok=True)
    run_long(
        _buildah("push", build.tag, f"docker-archive:{unfinished}:{build.tag}"),
        what=f"writing {archive.name}",
        log=log,
        deadline=600,
    )
    unfinished.rename(archive)


def drop_build_storage() -> None:
    """Give back the disk space of earlier builds' layers."""
    if _STORAGE.exists():
        run(_buildah("rmi", "--all", "--force"), deadline=300, check=False)
        shutil.rmtree(_STORAGE)
        say("dropped buildah's layers")


def trim_build_storage() -> None:
    """Drop all layers when those of old versions have piled up: the next build takes minutes once."""
    measured = run(["du", "--summarize", "--block-size=1", str(_STORAGE)], deadline=300, check=False).text
    if int(measured.split()[0] if measured else 0) > _STORAGE_LIMIT:
        drop_build_storage()


@contextmanager
def _no_trace() -> Iterator[None]:
    """Remove what buildah writes outside of its storage, where nobody else had it before."""
    others = _REMEMBERED.exists()
    try:
        yield
    finally:
        if not others:
            shutil.rmtree(_REMEMBERED, ignore_errors=True)


def _ensure_base_image(base: Base) -> str:
    """Import Debian into buildah's storage; its name there."""
    reference = f"localhost/hyper2kvm-lab/debian:{base.suite}-{base.digest}"
    if run(_buildah("inspect", "--type=image", reference), deadline=60, check=False).code == 0:
        return reference
    archive = CACHE / "cluster" / "images" / f"base-{base.suite}.tar"
    archive.parent.mkdir(parents=True, exist_ok=True)
    write_archive(archive, [ensure_base(base)], [Image(reference)])
    run(_buildah("pull", f"docker-archive:{archive}"), deadline=300)
    archive.unlink()
    return reference


def _buildah(*arguments: str) -> list[str]:
    """A call of buildah with storage of ours, in a mount namespace of its own: its storage driver leaves mounts behind."""
    storage = (f"--root={_STORAGE}/root", f"--runroot={_STORAGE}/run", "--storage-driver=overlay")
    return ["nice", "unshare", "--mount", "buildah", *storage, *arguments]
