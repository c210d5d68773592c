"""Pending: waits for a slot, then starts to plan."""

from collections.abc import Sequence

from hyper2kvm_api.errors import ClusterError, Hyper2kvmError, SpecError
from hyper2kvm_api.migration import Mode, Phase, VirtualMachineMigrationSpec, VirtualMachineMigrationStatus
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.resolve import with_overrides
from hyper2kvm_operator.build.virtualmachine import machine_name
from hyper2kvm_operator.reconcile.migration.decision import (
    Action,
    Decision,
    Occurrence,
    enter,
    failed_by,
    line,
    refused,
    timestamp,
)
from hyper2kvm_operator.reconcile.migration.effective import frozen_spec, stored
from hyper2kvm_operator.reconcile.migration.needs import handoff, lacking
from hyper2kvm_operator.reconcile.migration.observed import JobOutcome, Observed
from hyper2kvm_operator.reconcile.migration.phases.planning import DESCRIBING
from hyper2kvm_operator.reconcile.migration.phases.starting import remove
from hyper2kvm_operator.reconcile.migration.slots import LINE_MOVES, place_in_line

_MAX_SPEC = 65536
"""Characters of `status.effectiveSpec`."""


def decide(o: Observed, spec: VirtualMachineMigrationSpec) -> Decision:
    """Check what can be checked without a pod, and wait for a slot."""
    effective = stored(spec)
    error = _impossible(o, spec, effective)
    if error is not None:
        return refused(o, error)
    if o.suspend:
        return Decision(_held(o, "suspended"))
    if not o.free_slot:
        return Decision(_held(o, place_in_line(o.ahead)), requeue=LINE_MOVES)
    leftovers = _leftovers(o)
    if leftovers:
        return Decision(_held(o, "removing what an earlier attempt left"), leftovers, requeue=1.0)
    if any(disk.handed_off for disk in o.status.disks):
        return _hand_off_again(o, spec, effective)
    status = enter(
        o,
        Phase.PLANNING,
        DESCRIBING,
        started_at=o.status.started_at or timestamp(o.now),
        effective_spec=effective,
        failure=None,
        percent=None,
        boot=None,
    )
    return Decision(status, requeue=0.0, occurrences=(Occurrence("Planning", "The source is being described."),))


def again(o: Observed) -> Decision:
    """Start over with a spec that was edited before the work on the disks began."""
    edited = Occurrence("Edited", "The spec was edited; planning starts again.")
    return Decision(enter(o, Phase.PENDING, "starting again after an edit"), requeue=0.0, occurrences=(edited,))


def _impossible(o: Observed, spec: VirtualMachineMigrationSpec, effective: str) -> Hyper2kvmError | None:
    """Why the migration cannot start at all. To a dry run, what the target would lack is only worth a warning."""
    volume = spec.source.files.volume if spec.source.files else None
    if volume is not None and volume.host_path is not None and not o.settings.allow_host_path:
        return ClusterError(Reason.HOST_PATH_FORBIDDEN, f"spec.source.files.volume.hostPath: {volume.host_path.path}")
    if len(effective) > _MAX_SPEC:
        return SpecError(
            Reason.INVALID_SPEC, f"spec: {len(effective)} characters with its profiles, {_MAX_SPEC} are allowed"
        )
    missing: Sequence[ClusterError] = () if spec.mode is Mode.PLAN else lacking(spec, o.abilities)
    return next(iter(missing), None)


def _leftovers(o: Observed) -> tuple[Action, ...]:
    """Jobs of an earlier attempt. A conversion that has ended well is kept: its work may hold still."""
    plan = [o.plan_job] if o.plan_job is not None else []
    convert = [o.convert_job] if o.convert_job and o.convert_job.outcome is not JobOutcome.SUCCEEDED else []
    return tuple(remove(job) for job in (*plan, *convert))


def _hand_off_again(o: Observed, spec: VirtualMachineMigrationSpec, effective: str) -> Decision:
    """Disks that were handed off are never written again: what is left to do is the rest of the handoff."""
    options, machine = spec.target.virtual_machine, o.status.machine
    try:
        before = frozen_spec(o.status) if o.status.effective_spec else spec
        if machine is not None:
            machine = with_overrides(machine, spec.machine, f"{o.key.namespace}/{o.key.name}")
    except SpecError as error:
        return failed_by(o, error)
    if (handoff(before), before.target.disks) != (handoff(spec), spec.target.disks):
        message = "spec.target: the disks have been handed off; their options and handoff are fixed"
        return failed_by(o, SpecError(Reason.INVALID_SPEC, message))
    status = enter(
        o,
        Phase.HANDING_OFF,
        "handing off",
        effective_spec=effective,
        failure=None,
        machine=machine,
        virtual_machine_name=machine_name(machine, options) if options.create and machine else None,
    )
    return Decision(status, requeue=0.0, occurrences=(Occurrence("HandingOff", "The rest is handed off."),))


def _held(o: Observed, message: str) -> VirtualMachineMigrationStatus:
    return o.status.replaced(phase=Phase.PENDING, progress=line(message))
