"""Planning: a Job describes the source; then everything that could be in the way is looked for."""

from hyper2kvm_api.errors import ClusterError, SpecError
from hyper2kvm_api.machine import Machine
from hyper2kvm_api.migration import DiskStatus, Mode, Phase, VirtualMachineMigrationSpec
from hyper2kvm_api.names import disk_suffix
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.resolve import with_overrides
from hyper2kvm_operator.build.configmap import request_config, request_name
from hyper2kvm_operator.build.job import plan_job
from hyper2kvm_operator.build.virtualmachine import machine_name, map_networks
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.reconcile.migration.decision import (
    Apply,
    Decision,
    Delete,
    Ensure,
    Occurrence,
    enter,
    failed,
    failed_by,
    with_condition,
)
from hyper2kvm_operator.reconcile.migration.observed import JobOutcome, Neighbours, Observed
from hyper2kvm_operator.reconcile.migration.phases.starting import not_started, suspended
from hyper2kvm_operator.reconcile.migration.troubles import job_failure

_LOOK_AGAIN = 10.0


def decide(o: Observed) -> Decision:
    """Start the plan Job, wait for it, and check what it found."""
    if isinstance(o.spec, SpecError):
        return failed_by(o, o.spec)
    if o.spec.suspend:
        return suspended(o, o.plan_job)
    if o.plan_job is None:
        return Decision(o.status, requeue=_LOOK_AGAIN).also(
            Apply(Resources.CONFIG_MAP.value, request_config(o.key, o.migration)),
            Ensure(Resources.JOB.value, plan_job(o.key, o.spec, o.settings, request_name(o.key))),
        )
    if o.plan_job.outcome is JobOutcome.FAILED:
        return failed(o, job_failure(o.plan_job)).also(Delete(Resources.JOB.value, o.plan_job.name))
    if o.plan_job.outcome is JobOutcome.RUNNING:
        return not_started(o, o.plan_job, "Planned")
    if o.machine is None:
        return Decision(o.status).also(Delete(Resources.JOB.value, o.plan_job.name))
    try:
        machine = with_overrides(o.machine, o.spec.machine, f"{o.key.namespace}/{o.key.name}")
    except SpecError as refused:
        return failed_by(o, refused)
    error = conflict(o.spec, machine, o.neighbours or Neighbours(), o.key.uid)
    if error is not None:
        return failed_by(o, error)
    return _planned(o, o.spec, machine)


def conflict(
    spec: VirtualMachineMigrationSpec, machine: Machine, neighbours: Neighbours, uid: str
) -> ClusterError | None:
    """The first thing that stands in the way of the target, or None."""
    if neighbours.storage_class_missing is not None:
        return ClusterError(Reason.STORAGE_CLASS_MISSING, neighbours.storage_class_missing)
    for claim in neighbours.claims:
        if claim.owner != uid:
            return ClusterError(Reason.CLAIM_EXISTS, f"the claim {claim.name} is not this migration's")
    options = spec.target.virtual_machine
    if not options.create:
        return None
    name = machine_name(machine, options)
    if neighbours.virtual_machine:
        return ClusterError(Reason.VIRTUAL_MACHINE_EXISTS, f"there is already a VirtualMachine {name}")
    if neighbours.reserved_by is not None:
        return ClusterError(
            Reason.VIRTUAL_MACHINE_EXISTS, f"the migration {neighbours.reserved_by} creates a VirtualMachine {name}"
        )
    networks = map_networks(machine.nics, options.networks)
    if networks.crowded:
        crowded = ", ".join(nic.id for nic in networks.crowded)
        return ClusterError(Reason.NETWORK_MAPPING_INVALID, f"{crowded}: another adapter has the pod network already")
    used = dict(neighbours.macs)
    for attachment in networks.attached:
        mac = attachment.nic.mac or ""
        if mac in used:
            return ClusterError(
                Reason.MAC_ADDRESS_IN_USE, f"{mac} of {attachment.nic.id} is used by the VirtualMachine {used[mac]}"
            )
    return None


def _planned(o: Observed, spec: VirtualMachineMigrationSpec, machine: Machine) -> Decision:
    options = spec.target.virtual_machine
    networks = map_networks(machine.nics, options.networks)
    unmapped = [
        f"NetworkNotMapped: {nic.id} ({nic.network or 'no network'}) gets no network; "
        "name one in spec.target.virtualMachine.networks"
        for nic in (networks.unmapped if options.create else ())
    ]
    phase = Phase.PROVISIONING if spec.mode is Mode.MIGRATE else Phase.CONVERTING
    status = enter(
        o,
        phase,
        "examining the guest" if spec.mode is Mode.PLAN else "preparing volumes",
        machine=machine,
        firmware=machine.firmware,
        virtual_machine_name=machine_name(machine, options) if options.create else None,
        warnings=unmapped,
        disks=[
            DiskStatus(
                id=disk.id,
                capacity=disk.capacity,
                claim_name=o.key.child(disk_suffix(index)) if spec.mode is Mode.MIGRATE else None,
            )
            for index, disk in enumerate(machine.disks)
        ],
    )
    count = len(machine.disks)
    message = f"{machine.name}: {machine.cpu.count} CPUs, {machine.memory >> 20} MiB, {count} disk{'s' * (count > 1)}"
    status = with_condition(o, status, "Planned", holds=True, reason="Described", message=message)
    return Decision(status, requeue=0.0, occurrences=(Occurrence("Planned", message),))
