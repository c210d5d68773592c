"""The loop: workers that take migrations from the queue and reconcile them."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from hyper2kvm_api.errors import SpecError
from hyper2kvm_api.reasons import Reason
from hyper2kvm_operator.kube.cache import Cache, Place
from hyper2kvm_operator.kube.client import KubeObject
from hyper2kvm_operator.kube.errors import RefusedError, UnreachableError
from hyper2kvm_operator.kube.overview import Overview
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.metrics import Metrics
from hyper2kvm_operator.reconcile.migration.decision import FINAL
from hyper2kvm_operator.reconcile.migration.reconcile import MigrationReconciler
from hyper2kvm_operator.reconcile.migration.slots import next_to_start
from hyper2kvm_operator.reconcile.queue import WorkQueue

_log = logging.getLogger("hyper2kvm.reconcile")

_HEARTBEAT = 5.0
_PATIENCE = 3
"""Looks that may fail one after the other before the status says so."""


class Loop:
    """Runs workers until it is stopped."""

    def __init__(
        self,
        reconciler: MigrationReconciler,
        cache: Cache,
        metrics: Metrics,
        *,
        workers: int,
        limit: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`limit` is how many migrations may work at the same time."""
        self.queue: WorkQueue[Place] = WorkQueue(clock)
        self._reconciler = reconciler
        self._cache = cache
        self._metrics = metrics
        self._limit = limit
        self._clock = clock
        self._beats: list[float] = []
        metrics.queue.set_function(self.queue.__len__)
        self._threads = [
            threading.Thread(target=self._work, args=(n,), name=f"reconcile-{n}", daemon=True) for n in range(workers)
        ]

    def start(self) -> None:
        """Start the workers."""
        self._beats = [self._clock()] * len(self._threads)
        for thread in self._threads:
            thread.start()

    def working(self) -> bool:
        """Whether the workers have been started."""
        return bool(self._beats)

    def stop(self, deadline: float = 20.0) -> None:
        """Let the workers end what they are doing, at most `deadline` seconds each."""
        self.queue.close()
        if self.working():
            for thread in self._threads:
                thread.join(deadline)

    def age(self) -> float:
        """Seconds since the slowest worker last came back from its work: what the health check looks at."""
        return self._clock() - min(self._beats) if self._beats else 0.0

    def _work(self, number: int) -> None:
        while True:
            self._beats[number] = self._clock()
            key = self.queue.take(_HEARTBEAT)
            if key is not None:
                self._reconcile(key)
            elif self.queue.closed:
                return

    def _reconcile(self, key: Place) -> None:
        started = self._clock()
        failed = True
        try:
            failed = self._look(key)
        finally:
            self._metrics.reconcile_seconds.observe(self._clock() - started)
            self.queue.done(key, failed=failed)

    def _look(self, key: Place) -> bool:
        """One reconcile; returns whether it failed and is to be repeated after a pause."""
        migration = self._cache.get(Resources.MIGRATION.value, *key)
        if migration is None:
            self._wake_waiting()
            return False
        try:
            decision = self._reconciler.reconcile(migration)
        except Exception as error:  # noqa: BLE001 -- counted, logged and tried again: one object must not end a worker
            self._failed(key, migration, error)
            return True
        if decision.requeue is not None:
            self.queue.add(key, decision.requeue)
        moved = migration.get("status", {}).get("phase") != decision.status.phase
        if moved:
            _log.info("%s", decision.status.phase, extra={"migration": "/".join(key)})
        if (moved and decision.status.phase in FINAL) or Overview.of(migration).held:
            self._wake_waiting()
        return False

    def _failed(self, key: Place, migration: KubeObject, error: Exception) -> None:
        """Count and log an error. One that stays is told to the user too, where it can be."""
        extra = {"migration": "/".join(key)}
        trouble = _trouble(error)
        self._metrics.reconcile_errors.labels(trouble.kind).inc()
        _log.log(trouble.level, "%s", trouble.message, extra=extra, exc_info=error if trouble.unexpected else None)
        if trouble.reason is None or self.queue.failures(key) < _PATIENCE:
            return
        try:
            self._reconciler.tell(migration, trouble.reason, trouble.message)
        except Exception as again:  # noqa: BLE001 -- what cannot be told is in the log
            _log.warning("this cannot be told in the status: %s", again, extra=extra)

    def _wake_waiting(self) -> None:
        """A slot is free: look at whom it is for."""
        for other in next_to_start(self._cache.migrations(), self._limit):
            self.queue.add(other.place)


@dataclass(frozen=True)
class _Trouble:
    """What a failed look means.

    Attributes:
        kind: label of the metric.
        level: of the log.
        message: in words.
        reason: what the status says of it when it stays; None where there is nobody to tell.
        unexpected: whether it is a fault of this program.
    """

    kind: str
    level: int
    message: str
    reason: Reason | None = None
    unexpected: bool = False


def _trouble(error: Exception) -> _Trouble:
    match error:
        case RefusedError():
            level = logging.INFO if error.stale else logging.ERROR
            return _Trouble(error.reason, level, f"the API server refuses: {error}", Reason.REQUEST_REFUSED)
        case UnreachableError():
            return _Trouble("Unreachable", logging.WARNING, f"the API server does not answer: {error}")
        case SpecError():
            return _Trouble("UnreadableStatus", logging.ERROR, f"left alone: {error.message}")
        case _:
            message = f"unexpected error: {type(error).__name__}: {error}"
            return _Trouble("Unexpected", logging.ERROR, message, Reason.OPERATOR_ERROR, unexpected=True)
