"""Interruptions: SIGINT and SIGTERM, with which Kubernetes ends a pod, end the work by a KeyboardInterrupt.

Never inside of a callback that a library written in C calls: it has no way to pass an exception on, prints it, and the
work would go on as if nothing had been asked.
"""

import os
import signal
import threading
from collections.abc import Callable
from types import CodeType, FrameType, FunctionType
from typing import TypeVar, cast

_Callback = TypeVar("_Callback", bound=Callable[..., object])

_AGAIN = 0.05
"""Seconds until a signal that has met a callback is sent again: longer than one takes."""

_callbacks: set[CodeType] = set()


def called_from_c(callback: _Callback) -> _Callback:
    """Decorates a callback that an interruption is to wait for."""
    _callbacks.add(cast("FunctionType", callback).__code__)
    return callback


def handle() -> None:
    """Handle both signals; one that this process was started to ignore, as in a shell's background, stays ignored."""
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    while frame is not None:
        if frame.f_code in _callbacks:
            threading.Timer(_AGAIN, os.kill, (os.getpid(), number)).start()
            return
        frame = frame.f_back
    raise KeyboardInterrupt
