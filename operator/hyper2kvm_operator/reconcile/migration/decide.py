"""decide: from what is observed to what is done. Pure; tables of phases, each in a module of its own."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from hyper2kvm_api.errors import SpecError
from hyper2kvm_api.migration import Phase, VirtualMachineMigrationSpec, VirtualMachineMigrationStatus
from hyper2kvm_api.reasons import Reason
from hyper2kvm_operator.reconcile.migration.decision import (
    ACTIVE,
    FINAL,
    Action,
    Decision,
    SetFinalizer,
    refused,
    timestamp,
    waiting,
    with_condition,
)
from hyper2kvm_operator.reconcile.migration.observed import Observed
from hyper2kvm_operator.reconcile.migration.phases import (
    converting,
    ending,
    handing_off,
    pausing,
    pending,
    planning,
    provisioning,
    starting,
)

WORK: Mapping[Phase, Callable[[Observed, VirtualMachineMigrationSpec], Decision]] = {
    Phase.PENDING: pending.decide,
    Phase.PLANNING: planning.decide,
    Phase.PROVISIONING: provisioning.decide,
    Phase.CONVERTING: converting.decide,
    Phase.HANDING_OFF: handing_off.decide,
}
"""Phases that follow the effective spec."""

ENDS: Mapping[Phase, Callable[[Observed], Decision]] = {
    Phase.SUCCEEDED: ending.succeeded,
    Phase.FAILED: ending.failed,
    Phase.CANCELLED: ending.cancelled,
}
"""Phases that stand whether there is one or not."""


GIVEN_UP: Mapping[Phase, Callable[[Observed, VirtualMachineMigrationSpec], tuple[Action, ...]]] = {
    Phase.PROVISIONING: provisioning.given_up,
    Phase.HANDING_OFF: handing_off.given_up,
}
"""What a failure in a phase removes. Of the other phases everything stays, so that an edit can go on from it."""


def decide(o: Observed) -> Decision:
    """What to do about one migration now."""
    if o.deleting:
        return ending.deleting(o)
    decision = _with_finalizer(o, cleared(o, _decided(o)))
    return replace(decision, status=summarised(o, decision.status))


def cleared(o: Observed, decision: Decision) -> Decision:
    """A decision that, where it is to fail, also removes what the phase gives up."""
    fails = decision.status.phase is Phase.FAILED
    give_up = GIVEN_UP.get(o.status.phase or Phase.PENDING) if fails else None
    if give_up is None or isinstance(o.spec, SpecError):
        return decision
    return decision.also(*give_up(o, o.spec))


def _decided(o: Observed) -> Decision:
    phase = o.status.phase or Phase.PENDING
    if o.cancel and phase not in {Phase.SUCCEEDED, Phase.CANCELLED}:
        return ending.cancel(o)
    if phase in ENDS:
        return ENDS[phase](o)
    if isinstance(o.spec, SpecError):
        return _unresolved(o, o.spec, phase)
    if _restarts(o, phase):
        return pending.again(o)
    try:
        return (pausing.decide(o) if phase in ACTIVE else None) or WORK[phase](o, o.spec)
    except SpecError as error:
        return _unresolved(o, error, phase)


def _unresolved(o: Observed, error: SpecError, phase: Phase) -> Decision:
    """There is no effective spec, or no plan of it. A profile may be applied a moment later: it is waited for."""
    if phase is Phase.PENDING and error.reason is Reason.PROFILE_NOT_FOUND:
        pending_status = o.status.replaced(phase=Phase.PENDING)
        return waiting(replace(o, status=pending_status), error.reason, error.message, "Planned")
    return refused(o, error).also(*starting.remove_running(o))


def _restarts(o: Observed, phase: Phase) -> bool:
    """Whether an edit came before the work on the disks: planning starts again. Later the API refuses edits."""
    early = phase in {Phase.PLANNING, Phase.PROVISIONING} or (phase is Phase.CONVERTING and o.convert_job is None)
    return early and o.edited


def _with_finalizer(o: Observed, decision: Decision) -> Decision:
    """The finalizer stands while there is something to wait for; nothing of a migration at rest needs the operator."""
    at_rest = decision.status.phase in FINAL and o.status.phase in FINAL
    if not at_rest and not o.finalizer:
        return replace(decision, actions=(SetFinalizer(present=True), *decision.actions))
    if at_rest and o.finalizer and not decision.actions and not o.pods:
        return decision.also(SetFinalizer(present=False))
    return decision


def summarised(o: Observed, status: VirtualMachineMigrationStatus) -> VirtualMachineMigrationStatus:
    """The status with the generation that it was computed from and the condition Ready, which sums it up."""
    phase = status.phase or Phase.PENDING
    reason = status.blocked.reason if status.blocked else phase.value
    message = status.progress or phase.value
    if status.failure and phase is Phase.FAILED:
        reason = status.failure.reason
        message = f"{status.failure.message} {status.failure.hint or ''}".strip()
    ready = with_condition(o, status, "Ready", holds=phase is Phase.SUCCEEDED, reason=reason, message=message)
    moved = status.progress != o.status.progress or status.progressed_at is None
    moment = timestamp(o.now) if moved else status.progressed_at
    return ready.replaced(observed_generation=o.generation, progressed_at=moment)
