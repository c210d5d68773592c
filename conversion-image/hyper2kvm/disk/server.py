"""NBD servers: qemu-nbd on Unix sockets, with the block graph stated in full."""

import json
import socket as sockets
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from hyper2kvm.disk.connection import uri_of
from hyper2kvm.run import Service, last_lines
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason

_START_DEADLINE = 30.0
_LOOK_INTERVAL = 0.02
_GREETING = b"NBDMAGIC"
_GREETING_SECONDS = 5.0
_MAX_PATH = 107
"""Bytes of a Unix socket's path (unix(7): sun_path has 108 with the closing NUL)."""


class NbdServer:
    """Serves one block graph as the default export, as a context manager. It ends with this process, even by kill -9."""

    def __init__(
        self, options: Mapping[str, object], socket: Path, *, writable: bool, log: Path, connections: int = 16
    ) -> None:
        """Nothing starts before the context is entered.

        Args:
            options: QEMU's options of the graph's top node (nodes.py).
            socket: path of the Unix socket, at most 107 bytes.
            writable: whether clients may write.
            log: file that takes the server's messages.
            connections: clients at the same time.

        Raises:
            HostError: WorkspaceUnusable, when the socket's path is too long.
        """
        if len(bytes(socket)) > _MAX_PATH:
            raise HostError(
                Reason.WORKSPACE_UNUSABLE,
                f"{socket}: a socket's path has at most {_MAX_PATH} bytes",
                hint="Choose a --workspace with a shorter path.",
            )
        self.socket = socket
        access = [] if writable else ["--read-only"]
        graph = "json:" + json.dumps(options)
        arguments = ["--persistent", f"--shared={connections}", f"--socket={socket}", "--discard=unmap", *access, graph]
        self._service = Service(["qemu-nbd", *arguments], log=log)

    def __enter__(self) -> Self:
        self.socket.unlink(missing_ok=True)
        self._service.__enter__()
        try:
            self._wait()
        except BaseException:
            self._service.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._service.stop()
        self.socket.unlink(missing_ok=True)

    @property
    def uri(self) -> str:
        """NBD's URI of the export."""
        return uri_of(self.socket)

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_DEADLINE
        while not _accepts(self.socket):
            code = self._service.exit_code
            if code is not None:
                said = last_lines(self._service.messages())
                raise HostError(Reason.PROGRAM_FAILED, f"qemu-nbd ended with {code}: {said}")
            if time.monotonic() > deadline:
                raise HostError(Reason.PROGRAM_TIMED_OUT, f"qemu-nbd did not serve within {_START_DEADLINE:.0f} s")
            time.sleep(_LOOK_INTERVAL)


def _accepts(socket: Path) -> bool:
    """Whether the server greets. The socket alone proves nothing: it is there before the images are opened."""
    with sockets.socket(sockets.AF_UNIX) as client:
        client.settimeout(_GREETING_SECONDS)
        try:
            client.connect(str(socket))
            return client.recv(len(_GREETING), sockets.MSG_WAITALL) == _GREETING
        except OSError:
            return False
