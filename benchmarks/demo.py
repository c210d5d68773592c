"""How long the demonstrations of the README take in a clean clone: with an empty cache, and again.

The distribution's packages are those of this machine: what is missing of them is installed, what is there stays.
"""

import os
import shutil
import subprocess
import time
from pathlib import Path

from lab.product import REPOSITORY


def measure(folder: Path) -> dict[str, object]:
    """The figures. The caches, of up to 15 GB, lie in `folder`."""
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(clone)], check=True)
    return {f"make {name}, minutes": _twice(clone, name, folder / f"{name}-cache") for name in ("demo-local", "demo")}


def _twice(clone: Path, name: str, cache: Path) -> dict[str, float]:
    try:
        first = _minutes(clone, name, cache)
        _make(clone, "cluster-down", cache)
        return {"with an empty cache": first, "again": _minutes(clone, name, cache)}
    finally:
        _make(clone, "cluster-down", cache)
        shutil.rmtree(cache)


def _minutes(clone: Path, name: str, cache: Path) -> float:
    began = time.monotonic()
    _make(clone, name, cache)
    return round((time.monotonic() - began) / 60, 1)


def _make(clone: Path, target: str, cache: Path) -> None:
    """Without what `make bench` has set for itself."""
    kept = {key: value for key, value in os.environ.items() if key in {"PATH", "HOME", "LANG", "TERM"}}
    command = ["make", f"--directory={clone}", target]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, env=kept | {"HYPER2KVM_CACHE": str(cache)})
