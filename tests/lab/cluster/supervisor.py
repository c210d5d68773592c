"""PID 1 of the cluster's namespaces: prepares the mounts, starts the services in order, restarts what ends, reaps.

Reads a `Node` document from standard input: the network is ready when it arrives. Ending this process ends the cluster.
"""

import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict

_TICK = 0.1
_RESTART_AFTER = 1.0
"""Seconds between a service's end and its next start."""


class Service(BaseModel):
    """A program that runs as long as the cluster does.

    Attributes:
        name: unique; its log is named after it.
        arguments: program and arguments.
        after: it starts when something accepts connections there: `host:port`, or the path of a Unix socket.
        environment: its whole environment.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    arguments: tuple[str, ...]
    after: tuple[str, ...] = ()
    environment: dict[str, str] = {}


class Node(BaseModel):
    """What PID 1 does.

    Attributes:
        prepare: commands to run first, in order; each must succeed.
        logs: folder of the services' logs.
        services: in the order of their start.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prepare: tuple[tuple[str, ...], ...] = ()
    logs: Path
    services: tuple[Service, ...]


@dataclass
class _Running:
    service: Service
    pid: int = 0
    due: float = 0.0
    ready: set[str] = field(default_factory=set)


def main() -> None:
    """Run until killed."""
    text = sys.stdin.buffer.read()
    if not text:
        return
    node = Node.model_validate_json(text)
    for command in node.prepare:
        subprocess.run(command, check=True)
    supervise(node, [_Running(service) for service in node.services])


def supervise(node: Node, running: list[_Running]) -> None:
    """Start what is due, reap what has ended, for ever."""
    while True:
        _reap(running)
        for one in running:
            if one.pid == 0 and time.monotonic() >= one.due and _may_start(one):
                one.pid = _start(one.service, node.logs)
        time.sleep(_TICK)


def _reap(running: list[_Running]) -> None:
    """Take leave of every ended child: services, and what pods' shims have left to PID 1."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        for one in running:
            if one.pid == pid:
                print(f"{one.service.name} ended with {os.waitstatus_to_exitcode(status)}", flush=True)  # noqa: T201 -- its log is what this prints
                one.pid, one.due = 0, time.monotonic() + _RESTART_AFTER


def _may_start(one: _Running) -> bool:
    one.ready.update(address for address in one.service.after if address not in one.ready and accepts(address))
    return one.ready.issuperset(one.service.after)


def accepts(address: str) -> bool:
    """Whether something accepts connections at `host:port` or at a Unix socket's path."""
    unix = address.startswith("/")
    host, _, port = address.rpartition(":")
    with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as client:
        client.settimeout(0.3)
        try:
            client.connect(address if unix else (host, int(port)))
        except OSError:
            return False
    return True


def _start(service: Service, logs: Path) -> int:
    log = (os.POSIX_SPAWN_OPEN, 1, str(logs / f"{service.name}.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    return os.posix_spawnp(
        service.arguments[0],
        service.arguments,
        service.environment,
        file_actions=[nothing, log, (os.POSIX_SPAWN_DUP2, 1, 2)],
        setsid=True,
    )


if __name__ == "__main__":
    main()
