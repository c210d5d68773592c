"""The one place where other programs are started: argument lists only, deadlines, bounded output, secrets scrubbed."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from hyper2kvm import tether
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.text import printable

MAX_OUTPUT = 8 * 1024 * 1024
"""Bytes of a program's output that are kept."""

_STOP_SECONDS = 10.0
_LAST_WORDS_SECONDS = 5.0
"""Seconds until the end of its output is waited for: what it left running may hold the pipes open."""
_READ = 256 * 1024

PACKAGES: Mapping[str, str] = {
    "qemu-img": "qemu-utils",
    "qemu-nbd": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "tesseract": "tesseract-ocr",
    "lzop": "lzop",
}
"""Program → the Debian package that holds it."""

_SECRETS = re.compile(r"(?i)\b(password|passphrase|secret|token|key)(=|:\s*)\S+")


@dataclass(frozen=True)
class Completed:
    """A program that has ended.

    Attributes:
        code: its exit code; negative for a signal.
        stdout: what it wrote to standard output, the first MAX_OUTPUT bytes of it.
        stderr: what it wrote to standard error as text, scrubbed, the last MAX_OUTPUT bytes of it.
    """

    code: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.stdout.decode(errors="replace")


def run(
    arguments: Sequence[str],
    *,
    deadline: float,
    stdin: bytes | None = None,
    environment: Mapping[str, str] | None = None,
    hint: str | None = None,
    check: bool = True,
) -> Completed:
    """Run a program to its end.

    Args:
        arguments: program and arguments. Never holds secrets: other users see it.
        deadline: seconds until it is killed.
        stdin: what it reads; nothing when None.
        environment: variables added to this process's.
        hint: what a user can do when it fails.
        check: whether an exit code other than 0 is an error.

    Raises:
        HostError: ProgramMissing, ProgramTimedOut or ProgramFailed (with the last lines of standard error).
    """
    program = require(arguments[0])
    process = subprocess.Popen(
        [program, *arguments[1:]],
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
    )
    feeding = _fed(process.stdin, stdin or b"")
    first, last = _Kept(process.stdout, last=False), _Kept(process.stderr, last=True)
    try:
        process.wait(deadline)
    except subprocess.TimeoutExpired:
        raise HostError(
            Reason.PROGRAM_TIMED_OUT, f"{arguments[0]} did not end in {deadline:.0f} s", hint=hint
        ) from None
    finally:
        process.kill()
        process.wait()
        for thread in (feeding, first, last):
            thread.join(_LAST_WORDS_SECONDS)
    completed = Completed(process.returncode, first.content, scrub(last.content))
    if check and completed.code != 0:
        raise HostError(
            Reason.PROGRAM_FAILED,
            f"{arguments[0]} ended with {completed.code}: {last_lines(completed.stderr)}",
            hint=hint,
        )
    return completed


class _Kept(threading.Thread):
    """Reads a program's output as it comes, so that the program is never held up, and keeps a bounded part of it."""

    def __init__(self, stream: IO[bytes] | None, *, last: bool) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self._last = last
        self._read = bytearray()
        self.start()

    def run(self) -> None:
        """Read until the end."""
        if self._stream is None:
            return
        with self._stream as stream:
            while read := os.read(stream.fileno(), _READ):
                if self._last and len(self._read) > 2 * MAX_OUTPUT:
                    del self._read[:-MAX_OUTPUT]
                if self._last or len(self._read) < MAX_OUTPUT:
                    self._read += read

    @property
    def content(self) -> bytes:
        """What was kept, at most MAX_OUTPUT bytes."""
        return bytes(self._read[-MAX_OUTPUT:] if self._last else self._read[:MAX_OUTPUT])


def _fed(stream: IO[bytes] | None, content: bytes) -> threading.Thread:
    """Write what a program reads, beside what is read of it. It need not read all."""

    def write() -> None:
        if stream is not None:
            with suppress(BrokenPipeError), stream:
                stream.write(content)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    return thread


def require(program: str) -> str:
    """The absolute path of a program.

    Raises:
        HostError: ProgramMissing, naming the package to install.
    """
    found = shutil.which(program)
    if found is None:
        package = PACKAGES.get(program, program)
        raise HostError(
            Reason.PROGRAM_MISSING,
            f"{program} is not installed",
            hint=f"Install the package {package} (Debian's name).",
        )
    return found


def last_lines(text: str, count: int = 4) -> str:
    """The last lines of a program's messages, in one line."""
    return " / ".join(line.strip() for line in text.strip().splitlines()[-count:]) or "no message"


def scrub(text: bytes | str) -> str:
    """Text of another program without control characters and without what looks like a secret."""
    decoded = text.decode(errors="replace") if isinstance(text, bytes) else text
    return _SECRETS.sub(r"\1\2***", printable(decoded))


class Service:
    """A program that runs beside this one, as a context manager. It is killed when this process dies, even by kill -9.

    Start it from the main thread: the kernel ties its life to the thread that started it (prctl PR_SET_PDEATHSIG).
    """

    def __init__(self, arguments: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None) -> None:
        """Nothing starts before the context is entered. `log` takes both of its output streams."""
        self.arguments = list(arguments)
        self.log = log
        self.environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        program = require(self.arguments[0])
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), program, *self.arguments[1:]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def exit_code(self) -> int | None:
        """Its exit code (negative for a signal), or None while it runs."""
        return None if self._process is None else self._process.poll()

    def wait(self, deadline: float) -> int | None:
        """Wait at most `deadline` seconds for its end; the exit code, or None when it still runs."""
        if self._process is None:
            return None
        try:
            return self._process.wait(deadline)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> None:
        """End it: politely first, then by force. Does nothing when it has ended."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        if self.wait(_STOP_SECONDS) is None:
            self._process.kill()
            self._process.wait()

    def messages(self) -> str:
        """What it has written, scrubbed, at most MAX_OUTPUT bytes."""
        with self.log.open("rb") as log:
            return scrub(log.read(MAX_OUTPUT))
