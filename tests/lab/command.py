"""The `h2k` command as users start it, and its JSON lines."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

H2K = str(Path(sys.executable).parent / "h2k")


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


def h2k_until(
    stop: Callable[[dict[str, Any]], bool],
    signal_: signal.Signals,
    *arguments: str | Path,
    program: Sequence[str] = (H2K,),
    after: Callable[[dict[str, Any]], object] = lambda _: None,
) -> int:
    """Run a command and send it a signal at the first event that `stop` is true of. Its exit code.

    Args:
        stop: asked about each event until it says so.
        signal_: the signal.
        arguments: the command's.
        program: what is started.
        after: told each event after the signal.
    """
    with subprocess.Popen([*program, *map(str, arguments)], stdout=subprocess.PIPE, text=True) as process:
        # Whatever is killed may leave half a line.
        lines = (line for line in process.stdout or () if line.startswith("{") and line.endswith("\n"))
        events = map(json.loads, lines)
        for event in events:
            if stop(event):
                process.send_signal(signal_)
                break
        for event in events:
            after(event)
        return process.wait(120)


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
