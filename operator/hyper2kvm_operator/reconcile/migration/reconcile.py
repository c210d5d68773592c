"""One look at a migration: observe, decide, apply, write the status."""

import datetime as dt
import logging
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from hyper2kvm_api.migration import API_VERSION, Phase, VirtualMachineMigrationStatus
from hyper2kvm_api.reasons import Reason
from hyper2kvm_operator.kube.cache import Cache
from hyper2kvm_operator.kube.client import KubeClient, KubeObject
from hyper2kvm_operator.kube.errors import RefusedError, UnreachableError
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.metrics import Metrics
from hyper2kvm_operator.reconcile.migration.apply import ActionRefusedError, carry_out, record
from hyper2kvm_operator.reconcile.migration.decide import cleared, decide, summarised
from hyper2kvm_operator.reconcile.migration.decision import (
    FINAL,
    Decision,
    blocked,
    failed,
    failure_for,
    line,
    seconds_since,
    timestamp,
    waiting,
)
from hyper2kvm_operator.reconcile.migration.observe import Observer
from hyper2kvm_operator.reconcile.migration.observed import Observed

_log = logging.getLogger("hyper2kvm.reconcile")

_CONDITIONS = {
    Phase.PROVISIONING: "Provisioned",
    Phase.CONVERTING: "Converted",
    Phase.HANDING_OFF: "HandedOff",
}
"""Phase → the condition that a refusal in it keeps from holding; in the others it is Planned."""

_TAKEN = {
    Resources.CLAIM.value: Reason.CLAIM_EXISTS,
    Resources.DATA_VOLUME.value: Reason.CLAIM_EXISTS,
    Resources.VIRTUAL_MACHINE.value: Reason.VIRTUAL_MACHINE_EXISTS,
}
"""Kind → the reason when somebody else has the name of an object of it."""


class MigrationReconciler:
    """Reconciles migrations, one at a time each. Safe to use from several threads."""

    def __init__(self, client: KubeClient, cache: Cache, observer: Observer, metrics: Metrics) -> None:
        self._client = client
        self._cache = cache
        self._observer = observer
        self._metrics = metrics
        self._planning = threading.Lock()

    def reconcile(self, migration: KubeObject) -> Decision:
        """Look at a migration and do what is to be done; returns what was decided.

        Raises:
            RefusedError: something changed meanwhile, or the server refuses: look again.
            UnreachableError: no answer.
            SpecError: the status is of another version's form: the migration is left alone.
        """
        with self._turn(migration):
            observed = self._observer.observe(migration, dt.datetime.now(dt.UTC))
            decision = self._carried_out(observed, migration, decide(observed))
            if decision.status != observed.stored and not (observed.deleting and not decision.requeue):
                self._write(observed, migration, decision.status)
        self._count(observed, decision)
        self._record(observed, decision)
        return decision

    def tell(self, migration: KubeObject, reason: Reason, message: str) -> None:
        """Say in a migration's status why looking at it fails again and again.

        Raises:
            RefusedError, UnreachableError, SpecError: as `reconcile`.
        """
        observed = self._observer.observe(migration, dt.datetime.now(dt.UTC))
        status = observed.status.replaced(progress=line(message), blocked=blocked(observed, str(reason), message))
        # An edit that no look has come to counts as unseen: it is what starts a failed migration again.
        seen = observed.status.observed_generation
        status = summarised(observed, status).replaced(observed_generation=seen)
        if status != observed.stored:
            self._write(observed, migration, status)

    def _turn(self, migration: KubeObject) -> AbstractContextManager[object]:
        """Migrations take names and addresses one after the other: each sees what the one before has taken."""
        planning = migration.get("status", {}).get("phase") == Phase.PLANNING
        return self._planning if planning else nullcontext()

    def _carried_out(self, observed: Observed, migration: KubeObject, decision: Decision) -> Decision:
        for action in decision.actions:
            try:
                carry_out(self._client, self._cache, observed.key, migration, action)
            except ActionRefusedError as error:
                refused = cleared(observed, after_refusal(observed, error))
                for removal in refused.actions:
                    carry_out(self._client, self._cache, observed.key, migration, removal)
                return replace(refused, status=summarised(observed, refused.status))
        return decision

    def _write(self, observed: Observed, migration: KubeObject, status: VirtualMachineMigrationStatus) -> None:
        uid = migration["metadata"]["uid"]
        written = self._client.put_status(
            Resources.MIGRATION.value,
            {
                "apiVersion": API_VERSION,
                "kind": "VirtualMachineMigration",
                "metadata": {"name": observed.key.name, "namespace": observed.key.namespace, "uid": uid},
                "status": status.to_object(),
            },
        )
        self._cache.answered(Resources.MIGRATION.value, written)

    def _record(self, observed: Observed, decision: Decision) -> None:
        """Events are for people: one that cannot be recorded changes nothing."""
        for occurrence in decision.occurrences:
            try:
                record(self._client, observed.key, occurrence, timestamp(observed.now))
            except (RefusedError, UnreachableError) as error:
                place = f"{observed.key.namespace}/{observed.key.name}"
                _log.warning("an Event is not recorded: %s", error, extra={"migration": place})

    def _count(self, observed: Observed, decision: Decision) -> None:
        before, after = observed.status, decision.status
        if before.phase is after.phase:
            return
        if before.phase is not None and before.phase not in FINAL:
            self._metrics.phase_seconds.labels(before.phase.value).observe(
                seconds_since(observed, before.phase_started_at)
            )
        if after.phase in FINAL:
            self._metrics.finished.labels(after.phase.value).inc()
        if after.phase is Phase.FAILED and after.failure is not None:
            self._metrics.failure(after.failure.reason)
        if before.phase is Phase.CONVERTING and observed.progress is not None:
            for stage, seconds in observed.progress.seconds.items():
                self._metrics.stage(stage, seconds)
        if before.phase is Phase.CONVERTING and after.phase in {Phase.HANDING_OFF, Phase.SUCCEEDED}:
            self._metrics.bytes.inc(sum(disk.copied or 0 for disk in after.disks))
            if after.boot is not None:
                self._metrics.boot(after.boot)


def after_refusal(o: Observed, error: ActionRefusedError) -> Decision:
    """What follows when the API server refused an action for good."""
    message = str(error)
    if error.refusal.reason == "Taken":
        return failed(o, failure_for(_TAKEN.get(error.resource, Reason.REQUEST_REFUSED), message))
    if error.resource is Resources.VIRTUAL_MACHINE.value:
        return failed(o, failure_for(Reason.VIRTUAL_MACHINE_REFUSED, message))
    reason = Reason.QUOTA_EXCEEDED if "exceeded quota" in error.refusal.message else Reason.REQUEST_REFUSED
    return waiting(o, reason, message, _CONDITIONS.get(o.status.phase or Phase.PENDING, "Planned"))
