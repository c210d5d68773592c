"""Waiting for what other threads and processes do."""

import time
from collections.abc import Callable


def eventually(check: Callable[[], object], seconds: float = 15.0) -> None:
    """Wait until `check` holds; an AssertionError when it does not within `seconds`."""
    began = time.monotonic()
    while not check():
        assert time.monotonic() - began < seconds
        time.sleep(0.05)
