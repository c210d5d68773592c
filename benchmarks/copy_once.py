"""One copy by the project's engine in a process of its own: `python -m benchmarks.copy_once URI FOLDER [--no-digests]`.

Prints the bytes that this process has copied, and those of the data in all, as JSON.
"""

import json
import sys
import threading
from pathlib import Path

from benchmarks.source import CAPACITY
from hyper2kvm.disk.copy import Copy, copy_disk
from hyper2kvm.events import Events
from hyper2kvm.workspace import digest
from hyper2kvm_api.options import Compression, DiskFormat, TargetBus
from hyper2kvm_api.plan import PlannedDisk


def main(uri: str, folder: Path, *, digests: bool) -> None:
    """Copy, and print what it took."""
    disk = PlannedDisk(
        id="scsi0:0",
        capacity=CAPACITY,
        target=str(folder / "target.raw"),
        format=DiskFormat.RAW,
        compression=Compression.NONE,
        bus=TargetBus.VIRTIO,
        serial="bench",
    )
    wanted = Copy(disk, CAPACITY, uri, digest("bench"), folder / "journal", digests=digests)
    copied = copy_disk(wanted, Events(), threading.Event())
    print(json.dumps({"copied": copied.copied_now, "data": copied.data}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), digests="--no-digests" not in sys.argv)
