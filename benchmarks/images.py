"""Sizes of the two images, and how long the appliance takes to start."""

import time
from pathlib import Path
from statistics import median

from hyper2kvm import accelerator
from hyper2kvm.disk.nodes import FileNode, ImageNode
from hyper2kvm.disk.server import NbdServer
from hyper2kvm.guest.appliance import Appliance
from lab.product import ensure_images

_ROUNDS = 3
_SPELLED = {"kvm": "KVM", "tcg": "emulated"}


def measure(folder: Path) -> dict[str, object]:
    """The figures."""
    sizes = {_name(reference): archive.stat().st_size >> 20 for reference, archive in ensure_images().items()}
    proven = accelerator.proven()
    return {
        "MiB, not compressed": sizes,
        "start of the appliance, seconds": {
            _SPELLED[proven]: round(median(_start(folder, proven) for _ in range(_ROUNDS)), 1)
        },
    }


def _name(reference: str) -> str:
    return reference.rpartition("/")[2].partition(":")[0]


def _start(folder: Path, proven: accelerator.Accelerator) -> float:
    disk = folder / "disk.raw"
    with disk.open("wb") as made:
        made.truncate(64 << 20)
    node = ImageNode(driver="raw", file=FileNode(filename=str(disk)))
    with NbdServer(node.options(), folder / "sock", writable=False, log=folder / "nbd.log") as server:
        started = time.monotonic()
        with Appliance([server.socket], accelerator=proven, log=folder / "log", readonly=True):
            return time.monotonic() - started
