"""The `h2k` command as users start it, and its JSON lines."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

H2K = str(Path(sys.executable).parent / "h2k")
INTERRUPTED = "interrupted; run the same command again to go on\n"
"""All that a run says on standard error when Ctrl-C or a termination has ended it."""
_SAMPLE_SECONDS = 0.5
_MACHINES = "qemu-system"
"""Programs whose names begin so are appliances and started guests, with memory of their own."""


@dataclass(frozen=True)
class Ended:
    """A command that has ended: exit code (negative for a signal), standard output and standard error."""

    code: int
    stdout: str
    stderr: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """Standard output, every line of which is a JSON object."""
        return [json.loads(line) for line in self.stdout.splitlines()]


def h2k(*arguments: str | Path, deadline: float = 900, wrapper: Sequence[str] = (), **environment: str) -> Ended:
    """Run a command to its end, started by another program where `wrapper` names one with its arguments."""
    done = subprocess.run(
        [*wrapper, H2K, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=deadline,
        env=os.environ | environment,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def h2k_measured(*arguments: str | Path, deadline: float = 900) -> tuple[Ended, int]:
    """Run a command to its end; with the most bytes of memory that it took, its virtual machines left out.

    Pages that several of its processes share count once (proc(5), smaps_rollup, Pss).
    """
    peak = 0
    command = [H2K, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        over = threading.Event()

        def sample() -> None:
            nonlocal peak
            while not over.wait(_SAMPLE_SECONDS):
                peak = max(peak, sum(map(_memory, _tree(process.pid))))

        sampling = threading.Thread(target=sample)
        sampling.start()
        try:
            stdout, stderr = process.communicate(timeout=deadline)
        finally:
            over.set()
            sampling.join()
    return Ended(process.returncode, stdout, stderr), peak


def h2k_while(ends: Callable[[], bool], signal_: signal.Signals, *arguments: str | Path, deadline: float = 900) -> int:
    """Run a command and send it a signal as soon as `ends` is true. Its exit code.

    Raises:
        TimeoutError: that never was.
    """
    with subprocess.Popen([H2K, *map(str, arguments)], stdout=subprocess.DEVNULL) as process:
        until = time.monotonic() + deadline
        while process.poll() is None and not ends():
            if time.monotonic() > until:
                process.kill()
                raise TimeoutError
            time.sleep(_SAMPLE_SECONDS)
        process.send_signal(signal_)
        return process.wait(120)


def h2k_until(
    stop: Callable[[dict[str, Any]], bool],
    signal_: signal.Signals,
    *arguments: str | Path,
    program: Sequence[str] = (H2K,),
    after: Callable[[dict[str, Any]], object] = lambda _: None,
) -> Ended:
    """Run a command and send it a signal at the first event that `stop` is true of. How it ended.

    Args:
        stop: asked about each event until it says so.
        signal_: the signal.
        arguments: the command's.
        program: what is started.
        after: told each event after the signal.
    """
    told: list[str] = []
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen([*program, *map(str, arguments)], stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        events = _events(process.stdout or (), told)
        for event in events:
            if stop(event):
                process.send_signal(signal_)
                break
        for event in events:
            after(event)
        code = process.wait(120)
        errors.seek(0)
        return Ended(code, "".join(told), errors.read())


def h2k_on_a_terminal(
    *arguments: str | Path, program: Sequence[str] = (H2K,), until: str = "", **environment: str
) -> tuple[int, str]:
    """h2k's exit code and what it has written to a terminal, which is both of its output streams.

    Args:
        arguments: its arguments.
        program: what is started instead of h2k.
        until: words after which it is interrupted, as Ctrl-C does; it ends by itself when there are none.
        environment: variables beside this process's.
    """
    ours, its = pty.openpty()
    command = [*program, *map(str, arguments)]
    surroundings = os.environ | {"TERM": "xterm"} | environment
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=surroundings) as process:
        os.close(its)
        written, interrupted = b"", False
        while select.select([ours], [], [], 90)[0]:
            try:
                written += os.read(ours, 65536)
            except OSError:  # EIO: the command has closed it
                break
            if until and not interrupted and until.encode() in written:
                process.send_signal(signal.SIGINT)
                interrupted = True
    os.close(ours)
    return process.returncode, written.decode()


def manifest(folder: Path, name: str, volume: Path, path: str, **spec: Any) -> Path:
    """A VirtualMachineMigration in a file of its own; JSON is YAML."""
    files = {"volume": {"hostPath": {"path": str(volume)}}, "path": path}
    content = {
        "apiVersion": "hyper2kvm.io/v1alpha1",
        "kind": "VirtualMachineMigration",
        "metadata": {"name": name},
        "spec": {"source": {"files": files}, **spec},
    }
    target = folder / f"{name}.yaml"
    target.write_text(json.dumps(content, indent=2))
    return target


def _events(lines: Iterable[str], told: list[str]) -> Iterator[dict[str, Any]]:
    """The events among lines that are whole; whatever is killed may leave half a one. All are kept in `told`."""
    for line in lines:
        told.append(line)
        if line.startswith("{") and line.endswith("\n"):
            yield json.loads(line)


def _tree(process: int) -> Iterator[int]:
    """A process and those that it and they have started, without virtual machines."""
    if _read(process, "comm").startswith(_MACHINES):
        return
    yield process
    for task in _tasks(process):
        for child in _read(process, f"task/{task}/children").split():
            yield from _tree(int(child))


def _tasks(process: int) -> list[str]:
    try:
        return [task.name for task in Path(f"/proc/{process}/task").iterdir()]
    except FileNotFoundError:
        return []


def _memory(process: int) -> int:
    lines = _read(process, "smaps_rollup").splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


def _read(process: int, name: str) -> str:
    try:
        return Path(f"/proc/{process}/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
