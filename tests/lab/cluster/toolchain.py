"""The Go that builds the cluster's programs: the machine's own, or one from the module proxy."""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from hyper2kvm.run import run
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from lab.cluster.gomodule import Module, fetch
from lab.cluster.layout import CACHE

WANTED = (1, 26)
"""The oldest Go that builds all of the modules: that of Kubernetes with what is compiled beside it."""

TOOLCHAIN = Module(
    "golang.org/toolchain", "v0.0.1-go1.26.8.linux-amd64", "h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM="
)
"""Go as a module (https://go.dev/ref/mod#toolchain), with the digest that sum.golang.org has of it."""

GO_CACHE = CACHE / "go"
"""Modules, compiled packages, a fetched Go. Only a build needs them."""

_PROGRAMS = ("bin/*", "pkg/tool/**/*", "lib/go_?*_?*_exec")
"""What is executable: a module's archive does not say it (cmd/go/internal/toolchain, allowExec)."""


def environment() -> Mapping[str, str]:
    """What every call of go gets: caches of its own, no other toolchain, go.mod and go.sum as committed.

    Nothing is written into the user's folders; the settings that `go env -w` left there still count.
    """
    configuration = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    return {
        "GOPATH": str(GO_CACHE / "path"),
        "GOMODCACHE": str(GO_CACHE / "mod"),
        "GOCACHE": str(GO_CACHE / "build"),
        "GOENV": os.environ.get("GOENV") or str(configuration / "go/env"),
        # go counts its own calls below the user's configuration, and no variable of its own says where.
        "XDG_CONFIG_HOME": str(GO_CACHE / "config"),
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=readonly -modcacherw -buildvcs=false",
        "GOWORK": "off",
        # The compiler collects less often: memory for a twentieth of the time.
        "GOGC": "400",
    }


def parse_version(text: str) -> tuple[int, int]:
    """Major and minor of what `go version` prints; (0, 0) when it is something else."""
    found = re.search(r"\bgo(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def ensure_go() -> Path:
    """A go that is new enough: that on PATH, else one from the module proxy.

    Raises:
        HostError: ProgramFailed when the module cannot be had.
    """
    installed = shutil.which("go")
    if installed and _version(Path(installed)) >= WANTED:
        return Path(installed)
    folder = GO_CACHE / TOOLCHAIN.version
    if not folder.exists():
        fetch(TOOLCHAIN, folder)
    _make_usable(folder)
    fetched = folder / "bin/go"
    if _version(fetched) < WANTED:
        raise HostError(Reason.PROGRAM_FAILED, f"{fetched} does not run", hint="Install go 1.26 or newer.")
    return fetched


def _make_usable(folder: Path) -> None:
    """What a module's archive cannot hold: executable programs, and modules inside of a module."""
    for pattern in _PROGRAMS:
        for program in folder.glob(pattern):
            program.chmod(0o755)
    for kept in folder.rglob("_go.mod"):
        shutil.copyfile(kept, kept.with_name("go.mod"))


def _version(go: Path) -> tuple[int, int]:
    return parse_version(run([str(go), "version"], deadline=30, environment=environment()).text)
