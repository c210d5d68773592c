"""Events: what a run tells while it goes on. Sinks show them: a progress bar, JSON lines, a file."""

import datetime as dt
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypedDict, Unpack

from hyper2kvm_api.errors import Hyper2kvmError
from hyper2kvm_api.event import Event, EventType, Made
from hyper2kvm_api.machine import Machine
from hyper2kvm_api.stage import Stage

Sink: TypeAlias = Callable[[Event], None]

_RATE_WINDOW = 5.0
_PROGRESS_INTERVAL = 0.5


class EventFields(TypedDict, total=False):
    """The fields of an Event that depend on its type; see hyper2kvm_api.event."""

    disk: str | None
    reason: str | None
    hint: str | None
    done: int | None
    total: int | None
    rate: int | None
    seconds: float | None
    machine: Machine | None
    file: str | None
    data: str | None
    made: Made | None


class Events:
    """Sends events to sinks, from any thread, one at a time. Warnings are remembered for the report."""

    def __init__(self, sinks: Sequence[Sink] = ()) -> None:
        self._sinks = list(sinks)
        self._lock = threading.Lock()
        self.stage: Stage | None = None
        self.warnings: list[Event] = []

    def emit(self, type_: EventType, message: str | None = None, **fields: Unpack[EventFields]) -> None:
        """Send one event of the current stage."""
        self.send(Event(time=now(), type=type_, stage=self.stage, message=message, **fields))

    def send(self, event: Event) -> None:
        """Send an event."""
        with self._lock:
            if event.type is EventType.WARNING:
                self.warnings.append(event)
            for sink in self._sinks:
                sink(event)

    def note(self, message: str, *, disk: str | None = None) -> None:
        """Tell what is being done."""
        self.emit(EventType.NOTE, message, disk=disk)

    def warn(self, reason: str, message: str, *, hint: str | None = None, disk: str | None = None) -> None:
        """Tell what a user should know and what does not stop the run. `reason` is a CamelCase word."""
        self.emit(EventType.WARNING, message, reason=reason, hint=hint, disk=disk)


def failure_event(error: Hyper2kvmError) -> Event:
    """The event that tells the error which ends a run."""
    return Event(
        time=now(),
        type=EventType.FAILED,
        stage=error.stage,
        message=error.message,
        reason=str(error.reason),
        hint=error.hint,
        disk=error.disk,
        file=error.file,
    )


class Meter:
    """Turns byte counts into Progress events, a few a second, with the rate of the last seconds."""

    def __init__(self, events: Events, disk: str | None, total: int, done: int = 0, *, file: str | None = None) -> None:
        """Of `total` bytes of a disk, or of a file of the source, `done` were done by an earlier run."""
        self._events = events
        self._disk = disk
        self._file = file
        self._total = total
        self._done = done
        self._seen: deque[tuple[float, int]] = deque([(time.monotonic(), done)])
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        """Count bytes, from any thread."""
        with self._lock:
            self._done += count
            moment = time.monotonic()
            if self._done < self._total and moment - self._seen[-1][0] < _PROGRESS_INTERVAL:
                return
            while len(self._seen) > 1 and moment - self._seen[0][0] > _RATE_WINDOW:
                self._seen.popleft()
            since, before = self._seen[0]
            self._seen.append((moment, self._done))
            rate = int((self._done - before) / max(moment - since, 1e-3))
            # Told under the lock, so that no event says less than the one before it.
            self._events.emit(
                EventType.PROGRESS, disk=self._disk, file=self._file, done=self._done, total=self._total, rate=rate
            )


def now() -> str:
    """The time in RFC 3339, UTC, with milliseconds."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
