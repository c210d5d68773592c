"""One copy by the project's engine in a process of its own: `python -m benchmarks.copy_once URI FOLDER [--no-digests]`.

Prints the seconds, the bytes copied by this process and its peak memory in KiB, as JSON.
"""

import json
import sys
import threading
import time
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
    started = time.monotonic()
    copied = copy_disk(wanted, Events(), threading.Event())
    seconds = time.monotonic() - started
    print(json.dumps({"seconds": seconds, "copied": copied.copied_now, "data": copied.data, "peak": _peak()}))


def _peak() -> int:
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in status if line.startswith("VmHWM:")))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), digests="--no-digests" not in sys.argv)
