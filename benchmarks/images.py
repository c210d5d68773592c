"""Sizes of the two images, and how long the appliance in the conversion image takes to start."""

import json
import os
import tarfile
import time
from pathlib import Path
from statistics import median
from typing import IO

from hyper2kvm import accelerator
from hyper2kvm.disk.nodes import FileNode, ImageNode
from hyper2kvm.disk.server import NbdServer
from hyper2kvm.guest.appliance import Appliance
from lab.product import ensure_images

_APPLIANCE = "usr/lib/guestfs-appliance"
"""Where the Containerfile puts it."""

_ROUNDS = 3
_SPELLED = {"kvm": "KVM", "tcg": "emulated"}


def measure(folder: Path) -> dict[str, object]:
    """The figures."""
    archives = {_name(reference): archive for reference, archive in ensure_images().items()}
    os.environ["LIBGUESTFS_PATH"] = str(_unpack_appliance(archives["hyper2kvm-conversion"], folder))
    try:
        proven = accelerator.proven()
        start = round(median(_start(folder, proven) for _ in range(_ROUNDS)), 1)
    finally:
        del os.environ["LIBGUESTFS_PATH"]
    return {
        "MiB, not compressed": {name: archive.stat().st_size >> 20 for name, archive in archives.items()},
        "start of the appliance, seconds": {_SPELLED[proven]: start},
    }


def _name(reference: str) -> str:
    return reference.rpartition("/")[2].partition(":")[0]


def _unpack_appliance(archive: Path, folder: Path) -> Path:
    """The appliance as pods of the image have it: a file of an upper layer replaces that of a lower one."""
    with tarfile.open(archive) as image:
        for name in json.load(_member(image, "manifest.json"))[0]["Layers"]:
            with tarfile.open(fileobj=_member(image, name)) as layer:
                inside = [member for member in layer if member.name.startswith(_APPLIANCE)]
                layer.extractall(folder, inside)  # noqa: S202 -- built here; Debian 12's Python has no filters
    return folder / _APPLIANCE


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    found = archive.extractfile(name)
    if found is None:
        raise FileNotFoundError(name)
    return found


def _start(folder: Path, proven: accelerator.Accelerator) -> float:
    disk = folder / "disk.raw"
    with disk.open("wb") as made:
        made.truncate(64 << 20)
    node = ImageNode(driver="raw", file=FileNode(filename=str(disk)))
    with NbdServer(node.options(), folder / "sock", writable=False, log=folder / "nbd.log") as server:
        started = time.monotonic()
        with Appliance([server.socket], accelerator=proven, log=folder / "log", readonly=True):
            return time.monotonic() - started
