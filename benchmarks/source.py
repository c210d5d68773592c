"""What is copied: a disk of 4 GiB with 1.5 GiB of data, as FIX leaves it: an overlay with a few changes over a VMDK."""

import json
import random
import subprocess
from pathlib import Path

from hyper2kvm.disk.nodes import FileNode, ImageNode, overlay_options
from hyper2kvm.disk.overlay import create_overlay

MIB = 1 << 20
CAPACITY = 4096 * MIB
DATA = 1536 * MIB
_RUNS = 96
"""Pieces that the data is in, with holes between them."""
_CHANGES = 64


def make_source(folder: Path) -> dict[str, object]:
    """Make the files in a folder; QEMU's options of the graph over them."""
    generator = random.Random(4096)
    raw, vmdk, overlay = folder / "disk.raw", folder / "disk.vmdk", folder / "overlay.qcow2"
    with raw.open("wb") as disk:
        disk.truncate(CAPACITY)
        for number in range(_RUNS):
            disk.seek(number * (CAPACITY // _RUNS) // 65536 * 65536)
            disk.write(generator.randbytes(DATA // _RUNS))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "vmdk", raw, vmdk], check=True)
    raw.unlink()
    create_overlay(overlay, CAPACITY)
    options = overlay_options(str(overlay), ImageNode(driver="vmdk", file=FileNode(filename=str(vmdk))).options())
    changes = [f"write -q -P 90 {generator.randrange(CAPACITY // 65536) * 65536} 65536" for _ in range(_CHANGES)]
    commands = [argument for change in changes for argument in ("-c", change)]
    subprocess.run(["qemu-io", *commands, f"json:{json.dumps(options)}"], check=True)
    return options
