"""The queue of objects to reconcile: each at most once at a time, sooner when something happens, later when asked."""

import heapq
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

_FIRST_RETRY = 1.0
_LAST_RETRY = 60.0


@dataclass(frozen=True, order=True)
class _Due:
    moment: float
    order: int


class WorkQueue(Generic[Key]):
    """Keys that wait for a worker. A key that is added while it is being worked on is worked on again afterwards."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[_Due, Key]] = []
        self._order = 0
        self._working: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._closed = False

    def add(self, key: Key, delay: float = 0.0) -> None:
        """Work on the key after `delay` seconds, or earlier if it is due earlier already."""
        with self._changed:
            moment = self._clock() + delay
            if key in self._due and self._due[key] <= moment:
                return
            self._due[key] = moment
            self._order += 1
            heapq.heappush(self._heap, (_Due(moment, self._order), key))
            self._changed.notify()

    def take(self, timeout: float | None = None) -> Key | None:
        """The next key that is due; None when none became due in `timeout` seconds, or the queue was closed."""
        deadline = None if timeout is None else self._clock() + timeout
        with self._changed:
            while not self._closed:
                moment = self._clock()
                key, wait = self._next(moment)
                if key is not None:
                    del self._due[key]
                    self._working.add(key)
                    return key
                if deadline is not None and moment >= deadline:
                    return None
                remaining = None if deadline is None else deadline - moment
                waits = [seconds for seconds in (wait, remaining) if seconds is not None]
                self._changed.wait(min(waits) if waits else None)
            return None

    def done(self, key: Key, *, failed: bool = False) -> float | None:
        """End the work on a key. A failure adds it again, after a pause that doubles each time; returns the pause."""
        with self._changed:
            self._working.discard(key)
            self._changed.notify_all()
            if not failed:
                self._failures.pop(key, None)
                return None
            count = self._failures.get(key, 0)
            self._failures[key] = count + 1
        pause = min(_FIRST_RETRY * 2.0**count, _LAST_RETRY)
        self.add(key, pause)
        return pause

    def failures(self, key: Key) -> int:
        """How often the work on a key has failed since it last succeeded."""
        with self._changed:
            return self._failures.get(key, 0)

    def close(self) -> None:
        """Let every waiting worker end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether workers should end."""
        return self._closed

    def __len__(self) -> int:
        """Keys that are due now or worked on."""
        with self._changed:
            moment = self._clock()
            return len(self._working) + sum(1 for due in self._due.values() if due <= moment)

    def _next(self, moment: float) -> tuple[Key | None, float | None]:
        """The first key that is due and free, or the seconds until the next one is due."""
        busy: list[tuple[_Due, Key]] = []
        found: Key | None = None
        wait: float | None = None
        while self._heap:
            due, key = self._heap[0]
            if self._due.get(key) != due.moment:
                heapq.heappop(self._heap)
            elif due.moment > moment:
                wait = due.moment - moment
                break
            elif key in self._working:
                busy.append(heapq.heappop(self._heap))
            else:
                heapq.heappop(self._heap)
                found = key
                break
        for item in busy:
            heapq.heappush(self._heap, item)
        return found, wait
