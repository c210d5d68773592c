"""The loop: workers that take migrations from the queue and reconcile them."""

import logging
import threading
import time
from collections.abc import Callable

from hyper2kvm_operator.kube.cache import Cache, Place
from hyper2kvm_operator.kube.errors import RefusedError, UnreachableError
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.metrics import Metrics
from hyper2kvm_operator.reconcile.migration.decision import FINAL
from hyper2kvm_operator.reconcile.migration.reconcile import MigrationReconciler
from hyper2kvm_operator.reconcile.migration.slots import held, next_to_start
from hyper2kvm_operator.reconcile.queue import WorkQueue

_log = logging.getLogger("hyper2kvm.reconcile")

_HEARTBEAT = 5.0


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
            self.queue.forget(key)
            self._wake_waiting()
            return False
        name = "/".join(key)
        try:
            decision = self._reconciler.reconcile(migration)
        except RefusedError as refusal:
            self._metrics.reconcile_errors.labels(refusal.reason).inc()
            level = logging.INFO if refusal.stale else logging.ERROR
            _log.log(level, "the API server refuses: %s", refusal, extra={"migration": name})
            return True
        except UnreachableError as error:
            self._metrics.reconcile_errors.labels("Unreachable").inc()
            _log.warning("the API server does not answer: %s", error, extra={"migration": name})
            return True
        except Exception:  # noqa: BLE001 -- counted, logged and tried again: one object must not end a worker
            self._metrics.reconcile_errors.labels("Unexpected").inc()
            _log.exception("unexpected error", extra={"migration": name})
            return True
        if decision.requeue is not None:
            self.queue.add(key, decision.requeue)
        ended = decision.status.phase in FINAL and migration.get("status", {}).get("phase") != decision.status.phase
        if ended:
            _log.info("%s", decision.status.phase, extra={"migration": name})
        if ended or held(migration):
            self._wake_waiting()
        return False

    def _wake_waiting(self) -> None:
        """A slot is free: look at whom it is for."""
        for other in next_to_start(self._cache.all(Resources.MIGRATION.value), self._limit):
            self.queue.add((other["metadata"]["namespace"], other["metadata"]["name"]))
