"""Pending: waits for a slot, then starts to plan."""

import yaml

from hyper2kvm_api.errors import ClusterError, SpecError
from hyper2kvm_api.migration import Phase, VirtualMachineMigrationSpec, VirtualMachineMigrationStatus
from hyper2kvm_api.options import HANDOFF_OF_FORMAT, Handoff
from hyper2kvm_api.reasons import Reason
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.reconcile.migration.decision import Decision, Delete, Occurrence, enter, failed_by, timestamp
from hyper2kvm_operator.reconcile.migration.observed import JobOutcome, Observed

_LOOK_AGAIN = 60.0
"""Seconds: a slot that becomes free wakes whom it is for; this only tells the others how they have moved up."""


def decide(o: Observed) -> Decision:
    """Check what can be checked without a pod, and wait for a slot."""
    if isinstance(o.spec, SpecError):
        return failed_by(o, o.spec)
    error = _impossible(o, o.spec)
    if error is not None:
        return failed_by(o, error)
    if o.spec.suspend:
        return Decision(_held(o, "suspended"))
    if not o.free_slot:
        return Decision(_held(o, f"waiting for a slot, {o.ahead} before this one"), requeue=_LOOK_AGAIN)
    leftovers = [job.name for job in (o.plan_job,) if job is not None]
    leftovers += [job.name for job in (o.convert_job,) if job is not None and job.outcome is not JobOutcome.SUCCEEDED]
    if leftovers:
        return Decision(_held(o, "removing what an earlier attempt left"), requeue=1.0).also(
            *(Delete(Resources.JOB.value, name) for name in leftovers)
        )
    status = enter(
        o,
        Phase.PLANNING,
        "describing the source",
        started_at=o.status.started_at or timestamp(o.now),
        effective_spec=yaml.safe_dump(o.spec.to_object(), sort_keys=False),
        failure=None,
        finished_at=None,
    )
    return Decision(status, requeue=0.0, occurrences=(Occurrence("Planning", "The source is being described."),))


def handoff(spec: VirtualMachineMigrationSpec) -> Handoff:
    """The handoff that a spec means."""
    return spec.target.handoff or HANDOFF_OF_FORMAT[spec.target.disks.format]


def _held(o: Observed, message: str) -> VirtualMachineMigrationStatus:
    return o.status.replaced(phase=Phase.PENDING, progress=message)


def _impossible(o: Observed, spec: VirtualMachineMigrationSpec) -> ClusterError | None:
    volume = spec.source.files.volume if spec.source.files else None
    if volume is not None and volume.host_path is not None and not o.settings.allow_host_path:
        return ClusterError(Reason.HOST_PATH_FORBIDDEN, f"spec.source.files.volume.hostPath: {volume.host_path.path}")
    if handoff(spec) is Handoff.IMPORT and not o.abilities.cdi:
        return ClusterError(Reason.CDI_MISSING, "spec.target.handoff: Import")
    if spec.target.virtual_machine.create and not o.abilities.kubevirt:
        return ClusterError(Reason.KUBEVIRT_MISSING, "spec.target.virtualMachine.create: true")
    return None
