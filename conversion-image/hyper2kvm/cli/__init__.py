"""The `h2k` command."""

import os
import signal
import sys
from types import FrameType

from hyper2kvm_api.reasons import EXIT_INTERRUPTED


def main() -> None:
    """The entry point. SIGTERM ends it from its first moment on: modules take a while to load.

    A container's first process is not ended by a signal that it does not handle.
    """
    signal.signal(signal.SIGTERM, _end)
    from hyper2kvm.cli.app import main as command  # noqa: PLC0415 -- see above

    command()


def _end(_signal: int, _frame: FrameType | None) -> None:
    os.write(sys.stderr.fileno(), b"interrupted\n")
    os._exit(EXIT_INTERRUPTED)
