"""The ends of a migration: success with its cleanup, failure, cancellation, deletion."""

from hyper2kvm_api.errors import SpecError
from hyper2kvm_api.migration import Phase
from hyper2kvm_api.options import CleanupOptions, CleanupPolicy
from hyper2kvm_operator.build.claims import WORKSPACE
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.reconcile.migration.decision import (
    Action,
    Decision,
    Delete,
    Occurrence,
    SetFinalizer,
    enter,
)
from hyper2kvm_operator.reconcile.migration.observed import Observed
from hyper2kvm_operator.reconcile.migration.phases import pending
from hyper2kvm_operator.reconcile.migration.phases.handing_off import stop_server
from hyper2kvm_operator.reconcile.migration.phases.provisioning import ARTIFACT

_LOOK_AGAIN = 2.0


def succeeded(o: Observed) -> Decision:
    """Remove what the user wants removed after success."""
    cleanup = CleanupOptions() if isinstance(o.spec, SpecError) else o.spec.cleanup
    actions: list[Action] = [*stop_server(o)]
    if cleanup.jobs is CleanupPolicy.ON_SUCCESS:
        actions += _jobs(o)
    own = {claim.name for claim in o.claims}
    if cleanup.workspace is CleanupPolicy.ON_SUCCESS and o.key.child(WORKSPACE) in own:
        actions.append(Delete(Resources.CLAIM.value, o.key.child(WORKSPACE)))
    if cleanup.artifacts is CleanupPolicy.ON_SUCCESS:
        actions += [Delete(Resources.CLAIM.value, name) for name in sorted(own) if name.endswith(f"-{ARTIFACT}")]
    return Decision(o.status, tuple(actions))


def failed(o: Observed) -> Decision:
    """Nothing to do until the spec is edited: then start again, from what is there."""
    if o.generation == o.status.observed_generation:
        return Decision(o.status, stop_server(o))
    status = enter(o, Phase.PENDING, "starting again after an edit")
    return Decision(status, requeue=0.0, occurrences=(Occurrence("Retrying", "The spec was edited."),))


def cancelled(o: Observed) -> Decision:
    """Remove what is left; start again only when the cancellation was taken back."""
    if isinstance(o.spec, SpecError) or o.spec.cancel:
        leftovers = _leftovers(o)
        return Decision(o.status, leftovers, requeue=_LOOK_AGAIN if leftovers else None)
    return pending.decide(o)


def cancel(o: Observed) -> Decision:
    """Stop for good and remove everything that was not handed off."""
    leftovers = _leftovers(o)
    status = enter(o, Phase.CANCELLED, "cancelled", failure=None)
    return Decision(
        status,
        leftovers,
        requeue=_LOOK_AGAIN if leftovers else None,
        occurrences=(Occurrence("Cancelled", "The migration was cancelled."),),
    )


def deleting(o: Observed) -> Decision:
    """Let the object go once no pod of it works on a disk any more; what it owns goes with it."""
    if not o.finalizer:
        return Decision(o.status)
    leftovers = _leftovers(o)
    if o.pods or o.plan_job or o.convert_job:
        return Decision(o.status, leftovers, requeue=_LOOK_AGAIN)
    return Decision(o.status, (*leftovers, SetFinalizer(present=False)))


def _leftovers(o: Observed) -> tuple[Action, ...]:
    kept = {disk.claim_name for disk in o.status.disks if disk.handed_off}
    volumes = [volume.name for volume in o.data_volumes if volume.name not in kept]
    claims = [claim.name for claim in o.claims if claim.name not in kept]
    return (
        *stop_server(o),
        *_jobs(o),
        *(Delete(Resources.DATA_VOLUME.value, name) for name in volumes),
        *(Delete(Resources.CLAIM.value, name) for name in claims),
    )


def _jobs(o: Observed) -> list[Action]:
    return [Delete(Resources.JOB.value, job.name) for job in (o.plan_job, o.convert_job) if job is not None]
