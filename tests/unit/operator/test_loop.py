"""The workers: what they count, and how one that does not come back is noticed."""

import threading

import pytest

from hyper2kvm_api.migration import Phase, VirtualMachineMigrationStatus
from hyper2kvm_operator.kube.cache import Cache
from hyper2kvm_operator.kube.errors import RefusedError, UnreachableError
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.metrics import Metrics
from hyper2kvm_operator.reconcile.loop import Loop
from hyper2kvm_operator.reconcile.migration.decision import Decision

from .objects import migration

KEY = ("moves", "web01")


class Reconciler:
    """One whose every look fails, or takes as long as the test wants."""

    def __init__(self, error=None):
        self.error = error
        self.called = threading.Event()
        self.release = threading.Event()

    def reconcile(self, migration):
        self.called.set()
        if self.error:
            raise self.error
        assert self.release.wait(30)
        raise UnreachableError("at last")

    def tell(self, migration, reason, message):
        pass


class Deciding:
    """One that finds a migration in a phase."""

    def __init__(self, phase):
        self.phase = phase

    def reconcile(self, migration):
        return Decision(VirtualMachineMigrationStatus(phase=self.phase))


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def made():
    def make(reconciler, **values):
        cache, metrics, clock = Cache(), Metrics(), Clock()
        cache.put(Resources.MIGRATION.value, migration(**values))
        return Loop(reconciler, cache, metrics, workers=2, limit=1, clock=clock), metrics, clock

    return make


def test_a_worker_that_does_not_come_back_makes_the_loop_old_though_the_others_do(made):
    stuck = Reconciler()
    loop, _, clock = made(stuck)
    assert loop.age() == 0.0
    loop.start()
    try:
        loop.queue.add(KEY)
        assert stuck.called.wait(30)
        clock.now += 1000
        # The other worker wakes up, finds nothing and goes on.
        assert loop.age() == 1000
    finally:
        stuck.release.set()
        loop.stop()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RefusedError(409, "Conflict", "changed", "PATCH"), "Conflict"),
        (UnreachableError("GET"), "Unreachable"),
        (ValueError("surprise"), "Unexpected"),
    ],
)
def test_looks_that_fail_are_counted_by_kind(made, error, kind):
    loop, metrics, _ = made(Reconciler(error))
    for _ in range(2):
        loop._reconcile(KEY)
    assert metrics.registry.get_sample_value("hyper2kvm_reconcile_errors_total", {"kind": kind}) == 2
    assert metrics.registry.get_sample_value("hyper2kvm_reconcile_duration_seconds_count") == 2


@pytest.mark.parametrize(("phase", "told"), [(Phase.PENDING, []), (Phase.PLANNING, [("Planning", "moves/web01")])])
def test_changes_of_phase_are_logged_with_the_migration(made, caplog, phase, told):
    caplog.set_level("INFO", logger="hyper2kvm")
    loop, _, _ = made(Deciding(phase), status={"phase": "Pending"})
    loop._reconcile(KEY)
    assert [(record.getMessage(), record.migration) for record in caplog.records] == told


def test_the_queue_counts_what_is_due(made):
    loop, metrics, _ = made(Reconciler())

    def length():
        return metrics.registry.get_sample_value("hyper2kvm_queue_length")

    assert length() == 0
    loop.queue.add(KEY)
    loop.queue.add(("moves", "web02"))
    loop.queue.add(("moves", "web03"), 60)
    assert length() == 2
    loop.queue.done(loop.queue.take(0))
    assert length() == 1
