"""What the phases with a Job share: a Job that is suspended, and a pod that does not start."""

from hyper2kvm_api.reasons import Reason
from hyper2kvm_operator.build.metadata import Json
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.reconcile.migration.decision import (
    Decision,
    Merge,
    cluster_failure,
    failed,
    seconds_in_phase,
    waiting,
)
from hyper2kvm_operator.reconcile.migration.observed import JobState, Observed
from hyper2kvm_operator.reconcile.migration.troubles import GRACE, HOPELESS, SETTLE, meaning, stuck

LOOK_AGAIN = 5.0
"""Seconds between looks at a running pod."""


def suspended(o: Observed, job: JobState | None) -> Decision:
    """Hold the work: the Job keeps no pod, everything else stays."""
    decision = Decision(o.status.replaced(progress="suspended"))
    return decision if job is None or job.suspended else decision.also(_suspend(job, value=True))


def resumed(job: JobState) -> tuple[Merge, ...]:
    """Let a suspended Job go on."""
    return (_suspend(job, value=False),) if job.suspended else ()


def not_started(o: Observed, job: JobState, condition: str) -> Decision:
    """A running Job: go on waiting, and say (and in the end fail with) what keeps its pod from starting."""
    actions = resumed(job)
    trouble = stuck(job)
    if trouble is None or actions:
        return Decision(o.status, actions, requeue=LOOK_AGAIN)
    reason = meaning(trouble)
    message = f"{job.pod.name if job.pod else job.name}: {trouble.message}"
    since = (o.now - job.pod.created).total_seconds() if job.pod else seconds_in_phase(o)
    if reason is Reason.POD_NOT_STARTED and since < SETTLE:
        return Decision(o.status, requeue=LOOK_AGAIN)
    if since > (GRACE if reason in HOPELESS else o.settings.start_deadline):
        return failed(o, cluster_failure(reason, message))
    return waiting(o, reason, message, condition)


def _suspend(job: JobState, *, value: bool) -> Merge:
    patch: Json = {"spec": {"suspend": value}}
    return Merge(Resources.JOB.value, job.name, patch)
