"""One process at a time, across everything on this machine that uses the same cache."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from lab.cluster.layout import CACHE
from lab.cluster.progress import wait_for

_SECONDS = 3600.0

PROGRAMS = CACHE / "cluster" / "programs.lock"
"""Held by who builds programs: they share Go's caches, and remove them."""

IMAGES = CACHE / "cluster" / "images.lock"
"""Held by who makes images: they share lower layers, and remove what older versions left there."""


@contextmanager
def alone(path: Path, who: str) -> Iterator[None]:
    """Hold a lock.

    Args:
        path: its file, made when it is not there.
        who: whom this waits for, when somebody holds it.

    Raises:
        HostError: ProgramTimedOut after an hour.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        if _taken(lock):
            wait_for(who, lambda: _taken(lock), deadline=_SECONDS)
        yield


def _taken(lock: TextIO) -> str | None:
    """Take the lock; what is missing when somebody holds it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return f"{lock.name} is held"
    return None
