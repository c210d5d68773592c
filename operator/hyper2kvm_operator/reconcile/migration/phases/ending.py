"""The ends of a migration: success with its cleanup, failure, cancellation, deletion."""

from hyper2kvm_api.errors import SpecError
from hyper2kvm_api.migration import Mode, Phase, VirtualMachineMigrationSpec
from hyper2kvm_api.options import CleanupPolicy, Handoff
from hyper2kvm_api.reasons import Reason
from hyper2kvm_operator.build.claims import WORKSPACE
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.reconcile.migration.decision import (
    Action,
    Decision,
    Delete,
    Occurrence,
    SetFinalizer,
    enter,
    line,
    refused,
)
from hyper2kvm_operator.reconcile.migration.needs import handoff
from hyper2kvm_operator.reconcile.migration.observed import Observed
from hyper2kvm_operator.reconcile.migration.phases import pending
from hyper2kvm_operator.reconcile.migration.phases.handing_off import stop_server
from hyper2kvm_operator.reconcile.migration.phases.provisioning import remove_claims, target_volumes
from hyper2kvm_operator.reconcile.migration.phases.starting import remove, silent_node

_LOOK_AGAIN = 2.0


def succeeded(o: Observed) -> Decision:
    """Remove what the user wants removed after success. A dry run may be edited into a migration."""
    if isinstance(o.spec, SpecError):
        return Decision(o.status, stop_server(o))
    if o.edited and o.spec.mode is Mode.PLAN:
        return pending.again(o)
    cleanup = o.spec.cleanup
    jobs = _jobs(o) if cleanup.jobs is CleanupPolicy.ON_SUCCESS else []
    dropped = {o.key.child(WORKSPACE)} if cleanup.workspace is CleanupPolicy.ON_SUCCESS else set()
    if cleanup.artifacts is CleanupPolicy.ON_SUCCESS:
        dropped |= _imported(o, o.spec)
    claims = remove_claims(claim for claim in o.claims if claim.name in dropped and not claim.going)
    return Decision(o.status, (*stop_server(o), *jobs, *claims))


def failed(o: Observed) -> Decision:
    """Nothing to do until the spec is edited, or what it lacked is there: then start again, from what is there."""
    missed = o.status.failure is not None and o.status.failure.reason == Reason.PROFILE_NOT_FOUND
    found = missed and not isinstance(o.spec, SpecError)
    if not o.edited and not found:
        return Decision(o.status, stop_server(o))
    if isinstance(o.spec, SpecError):
        return refused(o, o.spec)
    status = enter(o, Phase.PENDING, "starting again", failure=None)
    told = "What was missing is there." if found else "The spec was edited."
    return Decision(status, requeue=0.0, occurrences=(Occurrence("Retrying", told),))


def cancelled(o: Observed) -> Decision:
    """Remove what is left; start again only when the cancellation was taken back."""
    leftovers = _leftovers(o)
    if leftovers or o.cancel:
        return Decision(o.status, leftovers, requeue=_LOOK_AGAIN if leftovers else None)
    if isinstance(o.spec, SpecError):
        return refused(o, o.spec)
    return pending.decide(o, o.spec)


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
        silence = silent_node(o)
        status = o.status.replaced(progress=line(silence)) if silence else o.status
        return Decision(status, leftovers, requeue=_LOOK_AGAIN)
    return Decision(o.status, (*leftovers, SetFinalizer(present=False)))


def _imported(o: Observed, spec: VirtualMachineMigrationSpec) -> set[str]:
    """The claims of images that CDI has imported. With the handoff None they are the result itself."""
    if handoff(spec) is not Handoff.IMPORT:
        return set()
    return {target.claim for target in target_volumes(o, spec)}


def _leftovers(o: Observed) -> tuple[Action, ...]:
    kept = {disk.claim_name for disk in o.status.disks if disk.handed_off}
    volumes = [volume for volume in o.data_volumes if volume.name not in kept]
    return (
        *stop_server(o),
        *_jobs(o),
        *(Delete(Resources.DATA_VOLUME.value, volume.name, volume.uid) for volume in volumes),
        *remove_claims(claim for claim in o.claims if claim.name not in kept and not claim.going),
    )


def _jobs(o: Observed) -> list[Action]:
    return [remove(job) for job in (o.plan_job, o.convert_job) if job is not None]
