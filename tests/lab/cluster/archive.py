"""Container images without a container engine: layers as tars, and `docker save` archives of them.

Format: https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Entry:
    """One file, folder or link of a layer.

    Attributes:
        path: where it is in the image, without a leading slash.
        content: a file of this machine, bytes, or None for a folder.
        link: target of a symbolic link, instead of content.
        mode: permissions.
        owner: uid and gid.
        capabilities: the `security.capability` attribute of the file; empty for none.
    """

    path: str
    content: Path | bytes | None = None
    link: str = ""
    mode: int = 0o755
    owner: int = 0
    capabilities: bytes = b""


@dataclass(frozen=True)
class Image:
    """One image of an archive.

    Attributes:
        reference: full name with registry and tag; the kubelet knows it by that name.
        entrypoint: program and arguments; empty for none.
        user: numeric where pods ask for runAsNonRoot.
    """

    reference: str
    entrypoint: Sequence[str] = field(default=())
    user: str = ""


def file_capability(number: int) -> bytes:
    """A `security.capability` value that gives one capability, permitted and effective (struct vfs_cap_data, version 2).

    Args:
        number: below 32, as in linux/capability.h.
    """
    revision_2_effective = 0x02000001
    return revision_2_effective.to_bytes(4, "little") + (1 << number).to_bytes(4, "little") + bytes(12)


def write_layer(path: Path, entries: Sequence[Entry]) -> None:
    """Write a layer. Times are the epoch, so that the same entries give the same bytes."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as layer:
        for entry in entries:
            _add(layer, entry)


def _add(layer: tarfile.TarFile, entry: Entry) -> None:
    header = tarfile.TarInfo(entry.path)
    header.mode, header.uid, header.gid = entry.mode, entry.owner, entry.owner
    if entry.capabilities:
        header.pax_headers = {"SCHILY.xattr.security.capability": entry.capabilities.decode()}
    if entry.link:
        header.type, header.linkname = tarfile.SYMTYPE, entry.link
        layer.addfile(header)
    elif entry.content is None:
        header.type = tarfile.DIRTYPE
        layer.addfile(header)
    elif isinstance(entry.content, bytes):
        header.size = len(entry.content)
        layer.addfile(header, io.BytesIO(entry.content))
    else:
        header.size = entry.content.stat().st_size
        with entry.content.open("rb") as file:
            layer.addfile(header, file)


def write_archive(path: Path, layers: Sequence[Path], images: Sequence[Image]) -> None:
    """Write an archive of images that share all their layers, lowest layer first."""
    digests = [_sha256(layer) for layer in layers]
    configurations = [_configuration(image, digests) for image in images]
    names = [hashlib.sha256(text).hexdigest() + ".json" for text in configurations]
    manifest = [
        {"Config": name, "RepoTags": [image.reference], "Layers": [f"{digest}.tar" for digest in digests]}
        for name, image in zip(names, images, strict=True)
    ]
    with tarfile.open(path, "w") as archive:
        for name, text in [*zip(names, configurations, strict=True), ("manifest.json", json.dumps(manifest).encode())]:
            _add(archive, Entry(name, text, mode=0o644))
        for digest, layer in zip(digests, layers, strict=True):
            _add(archive, Entry(f"{digest}.tar", layer, mode=0o644))


def _configuration(image: Image, digests: Sequence[str]) -> bytes:
    runtime = {"Env": [_PATH], "User": image.user}
    if image.entrypoint:
        runtime["Entrypoint"] = list(image.entrypoint)
    return json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": runtime,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
            "history": [{"created_by": "hyper2kvm's lab"} for _ in digests],
        },
        sort_keys=True,
    ).encode()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
