"""A module from a Go module proxy, without Go: fetched, verified by its digest, unpacked.

Protocol: https://go.dev/ref/mod#goproxy-protocol. Digest: golang.org/x/mod/sumdb/dirhash, Hash1, as in every go.sum.
"""

import base64
import hashlib
import os
import shutil
import tempfile
import urllib.request
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from lab.cluster.progress import say

_DEFAULT_PROXY = "https://proxy.golang.org"
"""Go's own default."""

_SECONDS = 120.0
"""That the proxy may be silent."""


@dataclass(frozen=True)
class Module:
    """One version of a module.

    Attributes:
        path: its path; without capital letters, which the protocol would escape.
        version: its version.
        digest: `h1:` and 44 characters, as go.sum has it.
    """

    path: str
    version: str
    digest: str

    @property
    def name(self) -> str:
        """Path and version; all files in its archive are below a folder of this name."""
        return f"{self.path}@{self.version}"


def fetch(module: Module, folder: Path) -> None:
    """Write a module's files into a new folder.

    Raises:
        HostError: ProgramFailed when no proxy has it, or when it is not what its digest says.
    """
    say(f"fetching {module.name}")
    with tempfile.TemporaryFile() as file:
        _download(module, file)
        with zipfile.ZipFile(file) as archive:
            found = digest(archive)
            if found != module.digest:
                raise HostError(
                    Reason.PROGRAM_FAILED,
                    f"{module.name} has the digest {found}, not {module.digest}",
                    hint="Somebody has changed it on its way: look at GOPROXY.",
                )
            _unpack(archive, module.name, folder)


def proxies(environment: Mapping[str, str]) -> list[str]:
    """URLs of the proxies that GOPROXY names, in order; Go's default when it names none."""
    named = environment.get("GOPROXY", "").replace("|", ",").split(",")
    return [url.rstrip("/") for url in named if "://" in url] or [_DEFAULT_PROXY]


def digest(archive: zipfile.ZipFile) -> str:
    """The digest of an archive's files: SHA-256 over the sorted list of their names and SHA-256 sums."""
    lines = hashlib.sha256()
    for name in sorted(archive.namelist()):
        lines.update(f"{hashlib.sha256(archive.read(name)).hexdigest()}  {name}\n".encode())
    return f"h1:{base64.b64encode(lines.digest()).decode()}"


def _download(module: Module, file: IO[bytes]) -> None:
    errors = []
    for proxy in proxies(os.environ):
        url = f"{proxy}/{module.path}/@v/{module.version}.zip"
        try:
            with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310 -- a proxy that the user trusts
                shutil.copyfileobj(answer, file, 1 << 20)
        except OSError as error:
            errors.append(f"{url}: {error}")
            file.seek(0)
            file.truncate()
        else:
            return
    raise HostError(
        Reason.PROGRAM_FAILED,
        f"{module.name} cannot be had: {'; '.join(errors)}",
        hint="Set GOPROXY to a module proxy that this machine reaches.",
    )


def _unpack(archive: zipfile.ZipFile, top: str, folder: Path) -> None:
    """Unpack what is below the archive's top folder; the names are verified by the digest."""
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    archive.extractall(unfinished)
    shutil.rmtree(folder, ignore_errors=True)
    (unfinished / top).rename(folder)
    shutil.rmtree(unfinished)
