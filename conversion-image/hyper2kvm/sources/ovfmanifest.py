"""The manifest (.mf) of an OVF or OVA: digests of its files. Format: DMTF DSP0243, section 5.1."""

import hashlib
import os
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from hyper2kvm.disk.location import FileRegion, open_plain, unreadable
from hyper2kvm.events import Events, Meter
from hyper2kvm.workers import check, workers
from hyper2kvm_api.errors import SourceError
from hyper2kvm_api.reasons import Reason

MAX_MANIFEST = 1024 * 1024
"""Bytes of a manifest."""

_LINE = re.compile(r"(SHA1|SHA256|SHA384|SHA512)\s*\((.+)\)\s*=\s*([0-9a-fA-F]+)\s*", re.IGNORECASE)
_STEP = 4 * 1024 * 1024
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


@dataclass(frozen=True)
class Manifest:
    """A manifest.

    Attributes:
        name: its file's name, for messages.
        digests: by file name, in its order.
    """

    name: str
    digests: Mapping[str, Digest]

    @classmethod
    def parse(cls, text: str, name: str) -> Self:
        """Read a manifest. What is not understood is not quoted: it may be of a file that is none of the source's.

        Raises:
            SourceError: MachineDescriptionInvalid, naming the line that is not understood; ArchiveUnsafe, when a name
                leads elsewhere.
        """
        found: dict[str, Digest] = {}
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip():
                continue
            match = _LINE.fullmatch(line.strip())
            if match is None:
                raise SourceError(
                    Reason.MACHINE_DESCRIPTION_INVALID, f"{name}: line {number} is not understood", file=name
                )
            if "/" in match[2] or match[2] in {".", ".."}:
                raise SourceError(Reason.ARCHIVE_UNSAFE, f"{name} names {match[2]!r}", file=name)
            found[match[2]] = Digest(match[1].lower(), match[3].lower())
        return cls(name, found)

    def check_lists(self, names: Iterable[str]) -> None:
        """Every file of the package must have a digest: a file that is left out could be any.

        Raises:
            SourceError: ArchiveIncomplete.
        """
        for name in names:
            if name not in self.digests:
                message = f"{self.name} has no digest of {name}"
                raise SourceError(Reason.ARCHIVE_INCOMPLETE, message, hint=_ALL_OR_NONE, file=name)

    def verify(self, files: Mapping[str, FileRegion], events: Events, stop: threading.Event) -> tuple[str, ...]:
        """Compare every file that is listed; returns their names.

        Raises:
            SourceError: ManifestDigestMismatch, ArchiveIncomplete (a file is missing) or SourceUnreadable.
            StoppedError: `stop` was set before all was read.
        """
        missing = sorted(set(self.digests) - set(files))
        if missing:
            message = f"{self.name} names {missing[0]}, which is not there"
            raise SourceError(Reason.ARCHIVE_INCOMPLETE, message, file=missing[0])
        meter = Meter(events, None, sum(files[name].length for name in self.digests), file=self.name)
        with workers(_THREADS, stop, name="digest") as pool:
            computed = [
                pool.submit(_digest, files[name], digest.algorithm, meter, stop)
                for name, digest in self.digests.items()
            ]
            for (file, digest), actual in zip(self.digests.items(), computed, strict=True):
                self._compare(file, digest, actual.result())
        return tuple(self.digests)

    def _compare(self, file: str, digest: Digest, actual: str) -> None:
        if actual != digest.value:
            raise SourceError(
                Reason.MANIFEST_DIGEST_MISMATCH,
                f"{file} has {digest.algorithm} {actual[:16]}…, {self.name} says {digest.value[:16]}…",
                file=file,
            )


_ALL_OR_NONE = "Export the machine again, or remove the manifest when you know the files to be what they should be."


def _digest(region: FileRegion, algorithm: str, meter: Meter, stop: threading.Event) -> str:
    hashed = hashlib.new(algorithm)
    descriptor = open_plain(region.path)
    try:
        position, end = region.offset, region.offset + region.length
        while position < end:
            check(stop)
            data = os.pread(descriptor, min(_STEP, end - position), position)
            if not data:
                break
            hashed.update(data)
            position += len(data)
            meter.add(len(data))
    except OSError as error:
        raise unreadable(region.path, error, region.path) from error
    finally:
        os.close(descriptor)
    return hashed.hexdigest()
