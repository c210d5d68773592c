"""Events: the meter of a copy, and what a warning leaves."""

import threading

import pytest

from hyper2kvm import events as module
from hyper2kvm.events import Events, Meter, failure_event
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.event import EventType
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.stage import Stage


@pytest.fixture
def clock(monkeypatch):
    """The time, as the test sets it."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def told():
    return []


def test_progress_is_told_a_few_times_a_second_with_the_rate_of_the_last_seconds(clock, told):
    meter = Meter(Events([told.append]), "scsi0:0", 1000, done=100)
    for _ in range(80):
        clock[0] += 0.125
        meter.add(10)
    assert [(event.done, event.total) for event in told][:2] == [(140, 1000), (180, 1000)]
    assert len(told) == 20
    assert {event.rate for event in told} == {80}
    assert all(event.disk == "scsi0:0" for event in told)


def test_the_rate_forgets_what_is_long_past(clock, told):
    meter = Meter(Events([told.append]), "d", 10**9)
    clock[0] = 1.0
    meter.add(10**8)
    for _ in range(20):
        clock[0] += 1.0
        meter.add(10)
    assert told[-1].rate == 10


def test_the_end_is_always_told(clock, told):
    meter = Meter(Events([told.append]), "d", 20)
    meter.add(10)
    assert told == []
    meter.add(10)
    assert [(event.done, event.total) for event in told] == [(20, 20)]


def test_bytes_are_counted_from_many_threads(told):
    meter = Meter(Events([told.append]), "d", 8 * 1000)
    threads = [threading.Thread(target=lambda: [meter.add(1) for _ in range(1000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told[-1].done == 8000


def test_warnings_are_remembered_with_their_stage(told):
    events = Events([told.append])
    events.stage = Stage.FIX
    events.warn("Odd", "something", hint="Look.", disk="scsi0:0")
    events.note("fine")
    assert events.warnings == [told[0]]
    assert (told[0].type, told[0].stage, told[0].reason, told[0].hint) == (EventType.WARNING, Stage.FIX, "Odd", "Look.")


def test_a_failure_has_everything_that_the_error_has():
    error = GuestError(Reason.GUEST_FULL, "no room", hint="Free some.", disk="scsi0:0", file="/boot")
    error.stage = Stage.FIX
    event = failure_event(error)
    assert (event.type, event.stage, event.reason, event.message) == ("Failed", Stage.FIX, "GuestFull", "no room")
    assert (event.hint, event.disk, event.file) == ("Free some.", "scsi0:0", "/boot")
