"""Threads that end soon when the work is interrupted: no Ctrl-C waits for what was begun."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


class StoppedError(Exception):
    """The work was ended before it was done, by request or because another thread failed."""


@contextmanager
def workers(count: int, stop: threading.Event, *, name: str = "") -> Iterator[ThreadPoolExecutor]:
    """A pool of threads for a block. When an exception leaves the block, `stop` is set and nothing more is begun.

    Args:
        count: threads.
        stop: the threads' work looks at it between its steps, and ends with StoppedError.
        name: what the threads are called.
    """
    pool = ThreadPoolExecutor(count, thread_name_prefix=name)
    try:
        yield pool
    except BaseException:
        stop.set()
        raise
    finally:
        pool.shutdown(cancel_futures=stop.is_set())


def check(stop: threading.Event) -> None:
    """Raise StoppedError when the work is to end."""
    if stop.is_set():
        raise StoppedError
