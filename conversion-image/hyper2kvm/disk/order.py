"""Order: several threads work on chunks at once, yet chunks are placed and settled in the order they were given out."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from hyper2kvm.workers import StoppedError

_LOOK_INTERVAL = 0.2
"""Seconds after which waiting threads look whether they are to stop."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Ticket:
    """A chunk that a thread has taken.

    Attributes:
        number: its place in the order.
        index: the chunk.
    """

    number: int
    index: int


class Order(Generic[Item]):
    """Gives out chunks, and keeps those that are not settled within a window. No thread waits for another's chunk.

    Attributes:
        error: the first error that a thread reported.
    """

    def __init__(
        self, indexes: Iterator[int], place: Callable[[int, Item], int], *, window: int, stop: threading.Event
    ) -> None:
        """`place` gets chunks in order, one at a time, with what was handed in for them; it tells their positions.

        At most `window` chunks are taken and not settled. Everything ends soon after `stop` is set.
        """
        self.error: BaseException | None = None
        self._indexes = indexes
        self._place = place
        self._window = window
        self._stop = stop
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._taken = 0
        self._placed = 0
        self._settled = 0
        self._arrived: dict[int, tuple[Ticket, Item]] = {}
        self._finished: dict[int, Callable[[], None]] = {}

    def take(self) -> Ticket | None:
        """The next chunk, or None when there is none left. Waits for room in the window. Raises StoppedError."""
        with self._lock:
            while self._taken - self._settled >= self._window:
                self._check()
                self._room.wait(_LOOK_INTERVAL)
            self._check()
            index = next(self._indexes, None)
            if index is None:
                return None
            ticket = Ticket(self._taken, index)
            self._taken += 1
            return ticket

    def arrive(self, ticket: Ticket, item: Item) -> list[tuple[Ticket, Item, int]]:
        """Hand in what a chunk became. Returns the chunks that have a position now, for this thread to go on with.

        They may be those of other threads, or none, when a chunk before is still to come.
        """
        ready = []
        with self._lock:
            self._arrived[ticket.number] = ticket, item
            while self._placed in self._arrived:
                first, came = self._arrived.pop(self._placed)
                ready.append((first, came, self._place(first.index, came)))
                self._placed += 1
        return ready

    def settle(self, ticket: Ticket, act: Callable[[], None]) -> None:
        """Call `act` in order, one at a time: now, or when the chunks before are settled, from their thread."""
        with self._lock:
            self._finished[ticket.number] = act
            while self._settled in self._finished:
                self._finished.pop(self._settled)()
                self._settled += 1
                self._room.notify()

    def fail(self, error: BaseException) -> None:
        """End everything. The first error that is not a StoppedError is kept."""
        with self._lock:
            if self.error is None and not isinstance(error, StoppedError):
                self.error = error
            self._room.notify_all()

    def check(self) -> None:
        """Raise what a thread reported, or StoppedError when the work was ended from outside."""
        if self.error is not None:
            raise self.error
        self._check()

    def _check(self) -> None:
        if self.error is not None or self._stop.is_set():
            raise StoppedError
