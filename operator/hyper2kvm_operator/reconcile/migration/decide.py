"""decide: from what is observed to what is done. Pure; a table of phases, each in a module of its own."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from hyper2kvm_api.errors import SpecError
from hyper2kvm_api.migration import Phase, VirtualMachineMigrationStatus
from hyper2kvm_operator.reconcile.migration.decision import FINAL, Decision, SetFinalizer, failed_by, with_condition
from hyper2kvm_operator.reconcile.migration.observed import Observed
from hyper2kvm_operator.reconcile.migration.phases import (
    converting,
    ending,
    handing_off,
    pending,
    planning,
    provisioning,
)

PHASES: Mapping[Phase, Callable[[Observed], Decision]] = {
    Phase.PENDING: pending.decide,
    Phase.PLANNING: planning.decide,
    Phase.PROVISIONING: provisioning.decide,
    Phase.CONVERTING: converting.decide,
    Phase.HANDING_OFF: handing_off.decide,
    Phase.SUCCEEDED: ending.succeeded,
    Phase.FAILED: ending.failed,
    Phase.CANCELLED: ending.cancelled,
}


def decide(o: Observed) -> Decision:
    """What to do about one migration now."""
    if o.deleting:
        return ending.deleting(o)
    decision = _decided(o)
    if not o.finalizer:
        decision = replace(decision, actions=(SetFinalizer(present=True), *decision.actions))
    return replace(decision, status=summarised(o, decision.status))


def _decided(o: Observed) -> Decision:
    phase = o.status.phase or Phase.PENDING
    if phase in FINAL and o.generation == o.status.observed_generation:
        return PHASES[phase](o)
    if isinstance(o.spec, SpecError):
        return failed_by(o, o.spec)
    if o.spec.cancel and phase is not Phase.SUCCEEDED:
        return ending.cancel(o)
    return PHASES[phase](o)


def summarised(o: Observed, status: VirtualMachineMigrationStatus) -> VirtualMachineMigrationStatus:
    """The status with the generation that it was computed from and the condition Ready, which sums it up."""
    phase = status.phase or Phase.PENDING
    reason = status.failure.reason if status.failure and phase is Phase.FAILED else phase.value
    message = status.progress or phase.value
    if status.failure and phase is Phase.FAILED:
        message = f"{status.failure.message} {status.failure.hint or ''}".strip()
    ready = with_condition(o, status, "Ready", holds=phase is Phase.SUCCEEDED, reason=reason, message=message)
    return ready.replaced(observed_generation=o.generation)
