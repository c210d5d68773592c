"""The namespaces that hold the cluster: PID, mount, network and IPC. Their PID 1 is the supervisor."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from hyper2kvm.run import require
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from lab.cluster.layout import Layout
from lab.cluster.progress import tail
from lab.cluster.supervisor import Node

_MODULE = "lab.cluster.supervisor"
_SECONDS = 30.0
"""For the namespaces' beginning and for their end."""


def start(layout: Layout, node: Node, connect: Callable[[int], None]) -> int:
    """Make the namespaces and start the services in them. They outlive this process.

    Args:
        layout: the cluster.
        node: what the supervisor does.
        connect: gives the network namespace of a process its links.

    Returns:
        the host's id of the namespaces' PID 1.

    Raises:
        HostError: ProgramFailed when the namespaces cannot be made.
    """
    log = layout.logs / "supervisor.log"
    reading, writing = os.pipe()
    with open(reading, "rb"), open(writing, "wb") as document:  # noqa: PTH123 -- pipe ends have no path
        _spawn(layout, reading, log)
        pid = _await_first(layout, log)
        connect(pid)
        document.write(node.model_dump_json().encode())
    return pid


def _spawn(layout: Layout, stdin: int, log: Path) -> None:
    """Start PID 1. `setsid --fork` ends at once, so that no process here has to reap what it leaves behind."""
    arguments = [
        *("setsid", "--fork"),
        *("unshare", "--pid", "--mount", "--net", "--ipc", "--fork", "--kill-child", "--mount-proc"),
        *(sys.executable, "-m", _MODULE, str(layout.folder)),
    ]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(layout.home),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    intermediate = os.posix_spawn(
        require("setsid"),
        arguments,
        environment,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, stdin, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
    )
    os.waitpid(intermediate, 0)


def _await_first(layout: Layout, log: Path) -> int:
    began = time.monotonic()
    while (pid := find(layout)) is None:
        if time.monotonic() - began > _SECONDS:
            raise HostError(
                Reason.PROGRAM_FAILED,
                f"the cluster's namespaces cannot be made: {tail(log)}",
                hint="It needs root and a kernel with PID, mount, network and IPC namespaces.",
            )
        time.sleep(0.05)
    return pid


def find(layout: Layout) -> int | None:
    """The host's id of the namespaces' PID 1, or None when the cluster does not run."""
    wanted = (_MODULE, str(layout.folder))
    for process in _processes():
        arguments = _read(process / "cmdline").decode(errors="replace").split("\0")
        if tuple(arguments[-3:-1]) == wanted and _inner_id(process) == 1:
            return int(process.name)
    return None


def children(pid: int) -> dict[int, list[str]]:
    """Child processes of a process: id on the host → arguments."""
    ids = _read(Path(f"/proc/{pid}/task/{pid}/children")).split()
    return {
        int(child): _read(Path(f"/proc/{int(child)}/cmdline")).decode(errors="replace").split("\0") for child in ids
    }


def members(pid: int) -> list[int]:
    """A process and all that descend from it: of a namespace's PID 1, all of the namespace and of those below it."""
    return [pid, *(member for child in children(pid) for member in members(child))]


def end(layout: Layout) -> bool:
    """End the cluster's processes: the kernel ends all of a namespace with its PID 1. Whether there was anything.

    Raises:
        HostError: ProgramTimedOut when a process does not go (one that waits for a device that never answers).
    """
    pid = find(layout)
    if pid is None:
        return False
    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    while find(layout) is not None or Path(f"/proc/{pid}").exists():
        if time.monotonic() - began > _SECONDS:
            raise HostError(
                Reason.PROGRAM_TIMED_OUT,
                f"process {pid} of the cluster does not end",
                hint=f"See what its children wait for: /proc/*/stack of {sorted(children(pid))}.",
            )
        time.sleep(0.05)
    return True


def inside(pid: int, command: Sequence[str]) -> list[str]:
    """A command line that runs in all of the cluster's namespaces."""
    return ["nsenter", "--target", str(pid), "--mount", "--net", "--ipc", "--pid", "--", *command]


def _processes() -> Iterator[Path]:
    return (entry for entry in Path("/proc").iterdir() if entry.name.isdecimal())


def _read(path: Path) -> bytes:
    """A file of /proc; empty when the process has ended meanwhile."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _inner_id(process: Path) -> int:
    """A process's id in the innermost PID namespace; 0 for one that is in the host's only."""
    for line in _read(process / "status").decode(errors="replace").splitlines():
        if line.startswith("NSpid:"):
            ids = line.split()[1:]
            return int(ids[-1]) if len(ids) > 1 else 0
    return 0
