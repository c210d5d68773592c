"""The Go that builds the cluster's programs: the machine's own, or one from the module proxy."""

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from hyper2kvm.run import run
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from lab.cluster.layout import CACHE
from lab.cluster.packages import install
from lab.cluster.progress import say

WANTED = (1, 26)
"""The oldest Go that builds the newest of the modules (Helm)."""

TOOLCHAIN = "golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64"
"""Go as a module, which go ≥ 1.21 fetches by itself (https://go.dev/ref/mod#toolchain)."""

GO_CACHE = CACHE / "go"
"""Modules and compiled packages. Only a build needs them."""

_OLDER = (Path("/usr/local/go/bin/go"), Path("/usr/lib/go/bin/go"))


def environment() -> Mapping[str, str]:
    """What every call of go gets: caches of its own, no other toolchain, go.mod and go.sum as committed."""
    return {
        "GOMODCACHE": str(GO_CACHE / "mod"),
        "GOCACHE": str(GO_CACHE / "build"),
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=readonly -modcacherw -buildvcs=false",
        "GOWORK": "off",
    }


def parse_version(text: str) -> tuple[int, int]:
    """Major and minor of what `go version` prints; (0, 0) when it is something else."""
    found = re.search(r"\bgo(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def ensure_go() -> Path:
    """A go that is new enough, fetched as a module by Debian's older one when the machine has none.

    Raises:
        HostError: ProgramMissing without root and without any go; ProgramFailed when the module cannot be had.
    """
    found = _installed()
    if found and parse_version(run([str(found), "version"], deadline=30, environment=environment()).text) >= WANTED:
        return found
    if found is None:
        install(["golang-go"])
        found = Path(shutil.which("go") or "/usr/lib/go/bin/go")
    return _fetch(found)


def _installed() -> Path | None:
    on_path = shutil.which("go")
    if on_path:
        return Path(on_path)
    return next((path for path in _OLDER if os.access(path, os.X_OK)), None)


def _fetch(go: Path) -> Path:
    """Fetch the toolchain module. Modules carry no executable bits, so they are set here."""
    say(f"fetching {TOOLCHAIN}")
    told = run([str(go), "mod", "download", "-json", TOOLCHAIN], deadline=600, environment=environment())
    folder = Path(json.loads(told.stdout)["Dir"])
    for program in [*folder.glob("bin/*"), *folder.glob("pkg/tool/*/*")]:
        program.chmod(0o755)
    fetched = folder / "bin/go"
    version = run([str(fetched), "version"], deadline=30, environment=environment()).text
    if parse_version(version) < WANTED:
        raise HostError(Reason.PROGRAM_FAILED, f"{fetched} is {version.strip()}", hint="Install go 1.26 or newer.")
    return fetched
