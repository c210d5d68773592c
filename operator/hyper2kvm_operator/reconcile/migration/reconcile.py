"""One look at a migration: observe, decide, apply, write the status."""

import datetime as dt
from dataclasses import replace

from hyper2kvm_api.migration import API_VERSION, Phase, VirtualMachineMigrationStatus
from hyper2kvm_api.reasons import Reason
from hyper2kvm_operator.kube.cache import Cache
from hyper2kvm_operator.kube.client import KubeClient, KubeObject
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.metrics import Metrics
from hyper2kvm_operator.reconcile.migration.apply import ActionRefusedError, carry_out, record
from hyper2kvm_operator.reconcile.migration.decide import decide, summarised
from hyper2kvm_operator.reconcile.migration.decision import (
    FINAL,
    Decision,
    cluster_failure,
    failed,
    seconds_in_phase,
    timestamp,
    waiting,
)
from hyper2kvm_operator.reconcile.migration.observe import Observer
from hyper2kvm_operator.reconcile.migration.observed import Observed


class MigrationReconciler:
    """Reconciles migrations, one at a time each. Safe to use from several threads."""

    def __init__(self, client: KubeClient, cache: Cache, observer: Observer, metrics: Metrics) -> None:
        self._client = client
        self._cache = cache
        self._observer = observer
        self._metrics = metrics

    def reconcile(self, migration: KubeObject) -> Decision:
        """Look at a migration and do what is to be done; returns what was decided.

        Raises:
            RefusedError: something changed meanwhile, or the server refuses: look again.
            UnreachableError: no answer.
        """
        observed = self._observer.observe(migration, dt.datetime.now(dt.UTC))
        decision = decide(observed)
        decision = self._carried_out(observed, migration, decision)
        if decision.status != observed.status and not (observed.deleting and not decision.requeue):
            self._write(observed, migration, decision.status)
        for occurrence in decision.occurrences:
            record(self._client, observed.key, occurrence, timestamp(observed.now))
        self._count(observed, decision)
        return decision

    def _carried_out(self, observed: Observed, migration: KubeObject, decision: Decision) -> Decision:
        for action in decision.actions:
            try:
                carry_out(self._client, observed.key, migration, action)
            except ActionRefusedError as error:
                refused = after_refusal(observed, error)
                return replace(refused, status=summarised(observed, refused.status))
        return decision

    def _write(self, observed: Observed, migration: KubeObject, status: VirtualMachineMigrationStatus) -> None:
        written = self._client.put_status(
            Resources.MIGRATION.value,
            {
                "apiVersion": API_VERSION,
                "kind": "VirtualMachineMigration",
                "metadata": {"name": observed.key.name, "namespace": observed.key.namespace},
                "status": status.to_object(),
            },
        )
        if written["metadata"]["uid"] == migration["metadata"]["uid"]:
            self._cache.put(Resources.MIGRATION.value, written)

    def _count(self, observed: Observed, decision: Decision) -> None:
        before, after = observed.status, decision.status
        if before.phase is after.phase:
            return
        if before.phase is not None and before.phase not in FINAL:
            self._metrics.phase_seconds.labels(before.phase.value).observe(seconds_in_phase(observed))
        if after.phase in FINAL:
            self._metrics.finished.labels(after.phase.value).inc()
        if after.phase is Phase.FAILED and after.failure is not None:
            self._metrics.failure(after.failure.reason)
        if before.phase is Phase.CONVERTING and after.phase in {Phase.HANDING_OFF, Phase.SUCCEEDED}:
            self._metrics.bytes.inc(sum(disk.copied or 0 for disk in after.disks))
            if after.boot is not None:
                self._metrics.boot(after.boot)


def after_refusal(o: Observed, error: ActionRefusedError) -> Decision:
    """What follows when the API server refused an action for good."""
    message = str(error)
    if error.resource is Resources.VIRTUAL_MACHINE.value:
        return failed(o, cluster_failure(Reason.VIRTUAL_MACHINE_REFUSED, message))
    if error.refusal.reason == "Taken":
        reason = Reason.CLAIM_EXISTS if error.resource is Resources.CLAIM.value else Reason.REQUEST_REFUSED
        return failed(o, cluster_failure(reason, message))
    reason = Reason.QUOTA_EXCEEDED if "exceeded quota" in error.refusal.message else Reason.REQUEST_REFUSED
    return waiting(o, reason, message, "Provisioned")
