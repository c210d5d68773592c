"""The manifest (.mf) of an OVF or OVA: digests of its files. Format: DMTF DSP0243, section 5.1."""

import hashlib
import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from hyper2kvm.sources.description import FileRegion
from hyper2kvm_api.errors import SourceError
from hyper2kvm_api.reasons import Reason

MAX_MANIFEST = 1024 * 1024
"""Bytes of a manifest."""

_LINE = re.compile(r"(SHA1|SHA256|SHA384|SHA512)\s*\((.+)\)\s*=\s*([0-9a-fA-F]+)\s*", re.IGNORECASE)
_CHUNK = 4 * 1024 * 1024
_THREADS = 2


@dataclass(frozen=True)
class Digest:
    """The digest that a file should have.

    Attributes:
        algorithm: as hashlib names it.
        value: in lower-case hexadecimal.
    """

    algorithm: str
    value: str


def parse_manifest(text: str, name: str) -> dict[str, Digest]:
    """Digests by file name.

    Raises:
        SourceError: MachineDescriptionInvalid, when a line is not understood.
    """
    found: dict[str, Digest] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise SourceError(
                Reason.MACHINE_DESCRIPTION_INVALID,
                f"{name} has a line that is not understood: {line[:60]!r}",
                file=name,
            )
        found[match[2]] = Digest(match[1].lower(), match[3].lower())
    return found


def verify(manifest: Mapping[str, Digest], files: Mapping[str, FileRegion], name: str) -> tuple[str, ...]:
    """Compare every file that the manifest names; returns their names.

    Raises:
        SourceError: ManifestDigestMismatch, ArchiveIncomplete (a file is missing) or SourceUnreadable.
    """
    missing = sorted(set(manifest) - set(files))
    if missing:
        raise SourceError(Reason.ARCHIVE_INCOMPLETE, f"{name} names {missing[0]}, which is not there", file=missing[0])
    with ThreadPoolExecutor(_THREADS) as pool:
        computed = pool.map(lambda entry: _digest(files[entry[0]], entry[1].algorithm), manifest.items())
        for (file, digest), actual in zip(manifest.items(), computed, strict=True):
            if actual != digest.value:
                raise SourceError(
                    Reason.MANIFEST_DIGEST_MISMATCH,
                    f"{file} has {digest.algorithm} {actual[:16]}…, {name} says {digest.value[:16]}…",
                    file=file,
                )
    return tuple(manifest)


def _digest(region: FileRegion, algorithm: str) -> str:
    hashed = hashlib.new(algorithm)
    try:
        descriptor = os.open(region.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise SourceError(Reason.SOURCE_UNREADABLE, f"{region.path}: {error.strerror}", file=region.path) from None
    try:
        position, end = region.offset, region.offset + region.length
        while position < end:
            data = os.pread(descriptor, min(_CHUNK, end - position), position)
            if not data:
                break
            hashed.update(data)
            position += len(data)
    finally:
        os.close(descriptor)
    return hashed.hexdigest()
