"""Memory of a whole run: `h2k` with the servers of its disks, as a pod holds them beside the appliance.

The appliance is QEMU with a guest's memory of its own (500 MiB and more); it is left out.
"""

import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

_PAUSE = 0.05
_APPLIANCE = b"qemu-system"


def peak(command: Sequence[str]) -> int:
    """The most memory in bytes that a command and its children have had at one time (PSS, proc(5) smaps_rollup)."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        ended, found = threading.Event(), [0]

        def watch() -> None:
            while not ended.wait(_PAUSE):
                found[0] = max(found[0], sum(map(_pss, family(process.pid))))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            code = process.wait()
        finally:
            ended.set()
            watcher.join()
    if code:
        raise subprocess.CalledProcessError(code, command)
    return found[0]


def family(root: int) -> Iterator[int]:
    """A process and what it has started, but for the appliance."""
    parents = {pid: parent for pid, parent in map(_parent, Path("/proc").glob("[0-9]*")) if parent is not None}
    members = [root]
    for member in members:
        members += [pid for pid, parent in parents.items() if parent == member]
        if _APPLIANCE not in _command(member):
            yield member


def _parent(process: Path) -> tuple[int, int | None]:
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return int(process.name), None
    return int(process.name), int(fields[1])


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0]
    except OSError:
        return b""


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:")), 0)
