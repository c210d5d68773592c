"""INSPECT and FIX against virt-v2v, on the same guest: a Debian 12 as VMware holds it."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from hyper2kvm import accelerator
from lab.command import H2K
from lab.guests.build import ensure_guest

_ROUNDS = 3
_LIMIT = 900
"""Seconds after which virt-v2v is killed; it is reported as having taken longer."""


def measure(folder: Path) -> dict[str, object]:
    """The figures; virt-v2v writes a copy of the guest into `folder`."""
    guest = ensure_guest("debian12-bios")
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(_ROUNDS):
        ours.append(_fix(guest.folder, folder))
        seconds, ended = _virt_v2v(guest.disks[0], folder)
        theirs.append(seconds)
        if not ended:
            break
    ratio = f"1/{median(theirs) / median(ours):.1f}"
    return {
        "INSPECT and FIX, seconds": round(median(ours), 1),
        "virt-v2v, seconds": round(median(theirs)) if ended else f"more than {_LIMIT}",
        "share of virt-v2v": ratio if ended else f"less than {ratio}",
    }


def _fix(source: Path, folder: Path) -> float:
    with tempfile.TemporaryDirectory(dir=folder) as work:
        manifest = Path(work) / "bench.yaml"
        files = {"volume": {"hostPath": {"path": str(source)}}, "path": "system.raw"}
        content = {
            "apiVersion": "hyper2kvm.io/v1alpha1",
            "kind": "VirtualMachineMigration",
            "metadata": {"name": "bench"},
            "spec": {"source": {"files": files}},
        }
        manifest.write_text(json.dumps(content))
        started = time.monotonic()
        subprocess.run([H2K, "fix", manifest, "--workspace", f"{work}/w"], check=True, capture_output=True)
        return time.monotonic() - started


def _virt_v2v(disk: Path, folder: Path) -> tuple[float, bool]:
    """Seconds, and whether it ended by itself."""
    settings = f"force_{accelerator.proven()}"
    environment = os.environ | {"LIBGUESTFS_BACKEND": "direct", "LIBGUESTFS_BACKEND_SETTINGS": settings}
    with tempfile.TemporaryDirectory(dir=folder) as target:
        command = ["virt-v2v", "-i", "disk", str(disk), "-o", "local", "-os", target]
        started = time.monotonic()
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=_LIMIT, env=environment)
        except subprocess.TimeoutExpired:
            return float(_LIMIT), False
        except subprocess.CalledProcessError as error:
            sys.stderr.write(error.stderr.decode(errors="replace"))
            raise
        return time.monotonic() - started, True
