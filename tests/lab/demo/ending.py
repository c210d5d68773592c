"""How a demonstration speaks and ends, well or not: without a traceback, with its time, and with what to do next."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from lab.cluster.progress import exit_code, say

_INTERRUPTED = 130
_WORDS = {0: "done", _INTERRUPTED: "interrupted"}


def carried_out(demonstration: Callable[[], int], afterwards: str) -> int:
    """Carry out a demonstration; its exit code.

    Args:
        demonstration: what is shown.
        afterwards: how to look around, and how to remove what is there.
    """
    began = time.monotonic()
    try:
        code = exit_code(demonstration)
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except (OSError, subprocess.SubprocessError) as error:
        say(f"{type(error).__name__}: {error}")
        code = 1
    minutes, seconds = divmod(round(time.monotonic() - began), 60)
    say(f"{_WORDS.get(code, 'not done')} after {minutes} min {seconds} s: {afterwards}")
    return code


def near(path: Path) -> str:
    """A path as whoever has started the demonstration would write it."""
    return os.path.relpath(path)
