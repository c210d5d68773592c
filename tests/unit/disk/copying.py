"""Copies of raw disks through a real NBD server. As a program, it copies one disk and may kill itself on the way."""

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

from hyper2kvm.disk.copy import Copy, copy_disk
from hyper2kvm.disk.journal import Journal
from hyper2kvm.disk.nodes import FileNode, ImageNode
from hyper2kvm.disk.server import NbdServer
from hyper2kvm.events import Events
from hyper2kvm.workspace import digest
from hyper2kvm_api.options import Compression, DiskFormat, TargetBus
from hyper2kvm_api.plan import PlannedDisk

MIB = 1 << 20
SIZE = 48 * MIB + 7 * 512
FORMATS = [
    (DiskFormat.RAW, Compression.NONE),
    (DiskFormat.QCOW2, Compression.NONE),
    (DiskFormat.QCOW2, Compression.ZLIB),
    (DiskFormat.QCOW2, Compression.ZSTD),
    (DiskFormat.VDI, Compression.NONE),
]


def make_disk(path, *, size=SIZE, seed=7):
    """Random data, text, zeros that are stored, and holes."""
    generator = random.Random(seed)
    with Path(path).open("wb") as disk:
        disk.truncate(size)
        for first, last in ((0, 9), (12, 13), (20, 41)):
            for number in range(first, last):
                disk.seek(number * MIB + generator.randrange(0, 8) * 512)
                disk.write(generator.randbytes(300_000))
                disk.write(b"text that is easily made smaller\n" * 9000)
        disk.seek(14 * MIB)
        disk.write(bytes(3 * MIB))
        disk.seek(size - 700)
        disk.write(generator.randbytes(700))
    return Path(path)


def planned(target, format_=DiskFormat.RAW, compression=Compression.NONE, capacity=SIZE):
    return PlannedDisk(
        id="scsi0:0",
        capacity=capacity,
        target=str(target),
        format=format_,
        compression=compression,
        bus=TargetBus.VIRTIO,
        serial="h2k0",
    )


def copy(source, disk, folder, *, events=None, stop=None, **values):
    """Copy a raw source disk as planned, with journal and socket in the folder."""
    folder = Path(folder)
    node = ImageNode(driver="raw", file=FileNode(filename=str(source)))
    with NbdServer(node.options(), folder / "source.sock", writable=False, log=folder / "source.log") as server:
        wanted = Copy(disk, disk.capacity, server.uri, digest("content"), folder / "disk.journal", **values)
        return copy_disk(wanted, events or Events(), stop or threading.Event())


def copy_and_die(source, disk, folder, claims):
    """Copy in a process that is killed, as by kill -9, after so many chunks."""
    arguments = [str(source), disk.to_json(), str(folder), str(claims)]
    return subprocess.run([sys.executable, __file__, *arguments], check=False, capture_output=True, timeout=50)


def compare(raw, target, format_):
    """qemu-img's own view of whether two images have the same content."""
    command = ["qemu-img", "compare", "-f", "raw", "-F", str(format_), str(raw), str(target)]
    subprocess.run(command, check=True, capture_output=True)


def _die_after(count):
    claim = Journal.claim

    def counted(self, *arguments):
        nonlocal count
        claim(self, *arguments)
        count -= 1
        if count == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    Journal.claim = counted


if __name__ == "__main__":
    source, disk, folder, claims = sys.argv[1:]
    _die_after(int(claims))
    copy(source, PlannedDisk.model_validate_json(disk), folder)
