"""QEMU's control socket (QMP: docs/interop/qmp-spec in QEMU's sources): JSON objects, one a line."""

import json
import socket
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason

MAX_LINE = 1024 * 1024
"""Bytes of one answer or event."""

_MAX_EVENTS = 256
_CONNECT_SECONDS = 30.0
_ANSWER_SECONDS = 60.0
"""A guest that keeps QEMU's main loop busy delays answers; screenshots wait for a frame."""

Message = dict[str, object]


class ControlLost(Exception):  # noqa: N818 -- it is no error where the guest switched itself off
    """QEMU has closed its socket: it has ended."""


class Control:
    """A connection to a running QEMU, as a context manager."""

    def __init__(self, path: Path, *, alive: Callable[[], bool]) -> None:
        """Nothing is connected before the context is entered.

        Args:
            path: the socket.
            alive: whether QEMU still runs; it makes the socket soon after it was started.
        """
        self._path = path
        self._alive = alive
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._lines = self._socket.makefile("rb")
        self.events: deque[Message] = deque(maxlen=_MAX_EVENTS)

    def __enter__(self) -> Self:
        try:
            self._connect()
            self._read()
            self.execute("qmp_capabilities")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; QEMU runs on."""
        self._lines.close()
        self._socket.close()

    def execute(self, command: str, **arguments: object) -> object:
        """Run a command and return its result. Events that come in between are kept in `events`.

        Raises:
            ControlLost: QEMU has ended.
            HostError: ProgramFailed (QEMU refused) or ProgramTimedOut (no answer).
        """
        try:
            self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        except OSError:
            raise ControlLost from None
        while True:
            message = self._read()
            if "return" in message:
                return message["return"]
            if "error" in message:
                raise HostError(Reason.PROGRAM_FAILED, f"QEMU refused {command}: {message['error']}")
            self.events.append(message)

    def _connect(self) -> None:
        until = time.monotonic() + _CONNECT_SECONDS
        self._socket.settimeout(_ANSWER_SECONDS)
        while True:
            try:
                self._socket.connect(str(self._path))
            except (FileNotFoundError, ConnectionRefusedError):
                if not self._alive():
                    raise ControlLost from None
            else:
                return
            if time.monotonic() > until:
                raise HostError(Reason.PROGRAM_TIMED_OUT, f"QEMU made no control socket in {_CONNECT_SECONDS:.0f} s")
            time.sleep(0.05)

    def _read(self) -> Message:
        try:
            line = self._lines.readline(MAX_LINE)
        except TimeoutError:
            raise HostError(Reason.PROGRAM_TIMED_OUT, f"QEMU did not answer in {_ANSWER_SECONDS:.0f} s") from None
        except OSError:
            raise ControlLost from None
        if not line.endswith(b"\n"):
            raise ControlLost
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise HostError(Reason.PROGRAM_FAILED, "QEMU's control socket does not speak QMP")
        return message
