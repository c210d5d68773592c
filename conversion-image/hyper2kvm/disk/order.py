"""Order: several threads work on chunks at once, yet chunks are placed and settled in the order they were given out."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_LOOK_INTERVAL = 0.2
"""Seconds after which waiting threads look whether they are to stop."""


class StoppedError(Exception):
    """The work was ended before it was done, by request or because another thread failed."""


@dataclass(frozen=True)
class Ticket:
    """A chunk that a thread has taken.

    Attributes:
        number: its place in the order.
        index: the chunk.
    """

    number: int
    index: int


class Order:
    """Gives out chunks, and keeps those that are not settled within a window.

    Attributes:
        error: the first error that a thread reported.
    """

    def __init__(self, indexes: Iterator[int], *, window: int, stop: threading.Event) -> None:
        """At most `window` chunks are taken and not settled. Everything ends soon after `stop` is set."""
        self.error: BaseException | None = None
        self._indexes = indexes
        self._window = window
        self._stop = stop
        self._changed = threading.Condition()
        self._taken = 0
        self._placed = 0
        self._settled = 0
        self._finished: dict[int, Callable[[], None]] = {}

    def take(self) -> Ticket | None:
        """The next chunk, or None when there is none left. Waits for room in the window. Raises StoppedError."""
        with self._changed:
            self._wait(lambda: self._taken - self._settled < self._window)
            index = next(self._indexes, None)
            if index is None:
                return None
            ticket = Ticket(self._taken, index)
            self._taken += 1
            return ticket

    @contextmanager
    def turn(self, ticket: Ticket) -> Iterator[None]:
        """What is inside runs in order, one at a time. Raises StoppedError."""
        with self._changed:
            self._wait(lambda: self._placed == ticket.number)
            yield
            self._placed += 1
            self._changed.notify_all()

    def settle(self, ticket: Ticket, act: Callable[[], None]) -> None:
        """Call `act` in order, one at a time: now, or when the chunks before are settled, from their thread."""
        with self._changed:
            self._finished[ticket.number] = act
            while self._settled in self._finished:
                self._finished.pop(self._settled)()
                self._settled += 1
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """End everything. The first error that is not a StoppedError is kept."""
        with self._changed:
            if self.error is None and not isinstance(error, StoppedError):
                self.error = error
            self._changed.notify_all()

    def check(self) -> None:
        """Raise what a thread reported, or StoppedError when the work was ended from outside."""
        if self.error is not None:
            raise self.error
        if self._stop.is_set():
            raise StoppedError

    def _wait(self, ready: Callable[[], bool]) -> None:
        while self.error is None and not self._stop.is_set():
            if ready():
                return
            self._changed.wait(_LOOK_INTERVAL)
        raise StoppedError
