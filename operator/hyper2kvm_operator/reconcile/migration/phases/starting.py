"""What the phases with a Job share: its pod does not start, its end is not told yet, or what it has told is lost."""

import math

from hyper2kvm_api.migration import VirtualMachineMigrationStatus
from hyper2kvm_api.reasons import Reason
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.reconcile.migration.decision import (
    Decision,
    Delete,
    blocked,
    line,
    seconds_since,
    waiting,
)
from hyper2kvm_operator.reconcile.migration.observed import JobOutcome, JobState, Observed
from hyper2kvm_operator.reconcile.migration.phases.pausing import resumed
from hyper2kvm_operator.reconcile.migration.slots import QUEUED
from hyper2kvm_operator.reconcile.migration.troubles import SETTLE, meaning, patience, stuck

LOOK_AGAIN = 5.0
"""Seconds between looks at a running pod."""


def not_started(o: Observed, job: JobState, condition: str) -> Decision | None:
    """Go on waiting for a pod, and say (and in the end fail with) what keeps it from starting; None when nothing does.

    A failure takes the Job with it: nothing of a migration that has failed starts to work later.
    """
    if job.held:
        return Decision(o.status, resumed(job), requeue=LOOK_AGAIN)
    if job.suspended:
        message = f"{job.name} waits: a queueing system holds it"
        return Decision(o.status.replaced(progress=line(message), blocked=blocked(o, QUEUED, message)))
    silence = _silent(o, job)
    if silence is not None:  # the pod may write as long as nobody knows that it does not: nothing is given up
        return waiting(o, Reason.NODE_SILENT, silence, condition, patience=math.inf)
    trouble = stuck(job, o.claims)
    if trouble is None:
        return None
    reason = meaning(trouble)
    if reason is Reason.POD_NOT_STARTED and job.pod is not None and _age(o, job) < SETTLE:
        return Decision(o.status, requeue=LOOK_AGAIN)
    name = job.pod.name if job.pod else job.name
    decision = waiting(o, reason, f"{name}: {trouble.message}", condition, patience=patience(trouble))
    return decision if decision.status.failure is None else decision.also(remove(job))


def silent_node(o: Observed) -> str | None:
    """What is the matter when a pod's node does not answer any more; None when none is waited for."""
    jobs = (job for job in (o.plan_job, o.convert_job) if job is not None)
    return next((silence for job in jobs if (silence := _silent(o, job))), None)


def _silent(o: Observed, job: JobState) -> str | None:
    pod = job.pod
    if pod is None or pod.ended or pod.gone_by is None or (o.now - pod.gone_by).total_seconds() < SETTLE:
        return None
    return f"{pod.name} has to go, and its node {pod.node} does not say that it has"


def untold_end(o: Observed, job: JobState) -> Decision | None:
    """Wait for the end of a pod whose Job has ended; None when it is known.

    Kubernetes ends a Job after its pods (since 1.31), and each kind has a watch of its own: one may be behind.
    """
    ended = job.pod is None or job.pod.ended or job.pod.exit_code is not None
    return None if ended else Decision(o.status, requeue=LOOK_AGAIN)


def lost(o: Observed, job: JobState, condition: str) -> Decision:
    """A pod ended well and what it told is gone or cannot be read: ask again, then let another pod do it."""
    if o.untold is not None:
        return waiting(o, Reason.RESULT_LOST, f"{job.name}: {o.untold}", condition)
    decision = waiting(o, Reason.RESULT_LOST, f"{job.name}: what its pod has told is gone", condition)
    return decision.also(remove(job))


def still_lost(o: Observed) -> VirtualMachineMigrationStatus:
    """The status while a pod does again what was lost: how long that has been so is not forgotten."""
    known = o.blocked is not None and o.blocked.reason == Reason.RESULT_LOST
    return o.status.replaced(blocked=o.blocked) if known else o.status


def remove(job: JobState) -> Delete:
    """Remove a Job with its pods."""
    return Delete(Resources.JOB.value, job.name, job.uid)


def remove_running(o: Observed) -> tuple[Delete, ...]:
    """Remove the Jobs that have not ended: nothing of a migration that fails goes on."""
    jobs = (o.plan_job, o.convert_job)
    return tuple(remove(job) for job in jobs if job is not None and job.outcome is JobOutcome.RUNNING)


def _age(o: Observed, job: JobState) -> float:
    return (o.now - job.pod.created).total_seconds() if job.pod else seconds_since(o, o.status.phase_started_at)
