"""Pausing: a migration that works is held, and goes on only when there is a slot for it again."""

from hyper2kvm_api.migration import Phase
from hyper2kvm_operator.build.metadata import Json
from hyper2kvm_operator.kube.resources import SUSPENDED, Resources
from hyper2kvm_operator.reconcile.migration.decision import Decision, Merge, blocked, line
from hyper2kvm_operator.reconcile.migration.observed import JobOutcome, JobState, Observed
from hyper2kvm_operator.reconcile.migration.slots import LINE_MOVES, NO_SLOT, PARKED, PAUSED, place_in_line


def decide(o: Observed) -> Decision | None:
    """Hold the work: its Job keeps no pod, everything else stays. None when it goes on.

    What a pod has already ended is taken in first.
    """
    job = _job(o)
    if o.suspend:
        if job is not None and job.outcome is not JobOutcome.RUNNING:
            return None
        actions = (_suspend(job),) if job is not None and not job.suspended else ()
        return Decision(_parked(o, PAUSED, "suspended").status, actions)
    if o.blocked is not None and o.blocked.reason in PARKED and not o.free_slot:
        return _parked(o, NO_SLOT, place_in_line(o.ahead))
    return None


def resumed(job: JobState) -> tuple[Merge, ...]:
    """Let a Job go on that this operator holds. One that a queueing system holds is that system's to release."""
    return (_hold(job, held=False),) if job.held else ()


def _job(o: Observed) -> JobState | None:
    return {Phase.PLANNING: o.plan_job, Phase.CONVERTING: o.convert_job}.get(o.status.phase or Phase.PENDING)


def _parked(o: Observed, reason: str, message: str) -> Decision:
    status = o.status.replaced(progress=line(message), blocked=blocked(o, reason, message))
    return Decision(status, requeue=LINE_MOVES if reason == NO_SLOT else None)


def _suspend(job: JobState) -> Merge:
    return _hold(job, held=True)


def _hold(job: JobState, *, held: bool) -> Merge:
    patch: Json = {"metadata": {"annotations": {SUSPENDED: "true" if held else None}}, "spec": {"suspend": held}}
    return Merge(Resources.JOB.value, job.name, patch)
