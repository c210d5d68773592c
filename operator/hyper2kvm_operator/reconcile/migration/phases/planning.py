"""Planning: a Job describes the source; then everything that could be in the way is looked for."""

from collections.abc import Iterator

from hyper2kvm_api.errors import ClusterError, SpecError
from hyper2kvm_api.machine import Machine
from hyper2kvm_api.migration import (
    MAX_WARNINGS,
    DiskStatus,
    Mode,
    Phase,
    VirtualMachineMigrationSpec,
    VirtualMachineMigrationStatus,
)
from hyper2kvm_api.names import disk_suffix
from hyper2kvm_api.options import Handoff, VirtualMachineOptions
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.resolve import with_overrides
from hyper2kvm_operator.build.configmap import request_config, request_name
from hyper2kvm_operator.build.job import plan_job
from hyper2kvm_operator.build.virtualmachine import machine_name, map_networks
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.reconcile.migration.decision import (
    Action,
    Apply,
    Decision,
    Ensure,
    Occurrence,
    Rehearse,
    enter,
    failed,
    failed_by,
    with_condition,
)
from hyper2kvm_operator.reconcile.migration.needs import handoff, lacking
from hyper2kvm_operator.reconcile.migration.observed import JobOutcome, Neighbours, Observed
from hyper2kvm_operator.reconcile.migration.phases.provisioning import artifact_suffix
from hyper2kvm_operator.reconcile.migration.phases.starting import lost, not_started, remove, still_lost, untold_end
from hyper2kvm_operator.reconcile.migration.phases.wantedmachine import wanted_machine
from hyper2kvm_operator.reconcile.migration.troubles import job_failure

DESCRIBING = "describing the source"
"""Progress while the plan Job is at work."""

_LOOK_AGAIN = 10.0


def decide(o: Observed, spec: VirtualMachineMigrationSpec) -> Decision:
    """Start the plan Job, wait for it, and check what it found."""
    if o.plan_job is None:
        return Decision(still_lost(o), requeue=_LOOK_AGAIN).also(
            Apply(Resources.CONFIG_MAP.value, request_config(o.key, o.migration)),
            Ensure(Resources.JOB.value, plan_job(o.key, spec, o.settings, request_name(o.key))),
        )
    if o.plan_job.outcome is JobOutcome.RUNNING:
        status = still_lost(o).replaced(progress=DESCRIBING)
        return not_started(o, o.plan_job, "Planned") or Decision(status, requeue=_LOOK_AGAIN)
    waiting = untold_end(o, o.plan_job)
    if waiting is not None:
        return waiting
    if o.plan_job.outcome is JobOutcome.FAILED:
        return failed(o, job_failure(o.plan_job)).also(remove(o.plan_job))
    if o.machine is None:
        return lost(o, o.plan_job, "Planned")
    try:
        machine = with_overrides(o.machine, spec.machine, f"{o.key.namespace}/{o.key.name}")
    except SpecError as refused:
        return failed_by(o, refused)
    concerns = list(conflicts(spec, machine, o.neighbours or Neighbours(), o.key.uid))
    if spec.mode is Mode.PLAN:
        return _planned(o, spec, machine, [*lacking(spec, o.abilities), *concerns])
    return failed_by(o, concerns[0]) if concerns else _planned(o, spec, machine, [])


def conflicts(
    spec: VirtualMachineMigrationSpec, machine: Machine, neighbours: Neighbours, uid: str
) -> Iterator[ClusterError]:
    """What stands in the way of the target. A claim that is going is waited for when ours is made."""
    for claim in neighbours.claims:
        if claim.owner != uid and not claim.going:
            yield ClusterError(Reason.CLAIM_EXISTS, f"the claim {claim.name} is not this migration's")
    for name in neighbours.data_volumes:
        yield ClusterError(Reason.CLAIM_EXISTS, f"the DataVolume {name} is not this migration's")
    if spec.target.virtual_machine.create:
        yield from _machine_conflicts(spec.target.virtual_machine, machine, neighbours)


def _machine_conflicts(
    options: VirtualMachineOptions, machine: Machine, neighbours: Neighbours
) -> Iterator[ClusterError]:
    name = machine_name(machine, options)
    if neighbours.virtual_machine:
        yield ClusterError(Reason.VIRTUAL_MACHINE_EXISTS, f"there is already a VirtualMachine {name}")
    if neighbours.reserved_by is not None:
        message = f"the migration {neighbours.reserved_by} creates a VirtualMachine {name}"
        yield ClusterError(Reason.VIRTUAL_MACHINE_EXISTS, message)
    for absent in neighbours.absent:
        yield ClusterError(Reason.VIRTUAL_MACHINE_REFUSED, f"spec.target.virtualMachine: there is no {absent}")
    networks = map_networks(machine.nics, options.networks)
    if networks.crowded:
        crowded = ", ".join(nic.id for nic in networks.crowded)
        yield ClusterError(Reason.NETWORK_MAPPING_INVALID, f"{crowded}: another adapter has the pod network already")
    used = dict(neighbours.macs)
    for attachment in networks.attached:
        mac = attachment.nic.mac or ""
        if mac in used:
            message = f"{mac} of {attachment.nic.id} is the address of {used[mac]}"
            yield ClusterError(Reason.MAC_ADDRESS_IN_USE, message)


def _planned(
    o: Observed, spec: VirtualMachineMigrationSpec, machine: Machine, concerns: list[ClusterError]
) -> Decision:
    dry_run = spec.mode is Mode.PLAN
    options = spec.target.virtual_machine
    suffix = artifact_suffix if handoff(spec) is Handoff.NONE else disk_suffix
    status = enter(
        o,
        Phase.CONVERTING if dry_run else Phase.PROVISIONING,
        "examining the guest" if dry_run else "preparing volumes",
        machine=machine,
        firmware=machine.firmware,
        virtual_machine_name=machine_name(machine, options) if options.create else None,
        warnings=[*(f"{one.reason}: {one.message}" for one in concerns), *_unmapped(spec, machine)][:MAX_WARNINGS],
        disks=[
            DiskStatus(
                id=disk.id,
                capacity=disk.capacity,
                claim_name=None if dry_run else o.key.child(suffix(index)),
            )
            for index, disk in enumerate(machine.disks)
        ],
    )
    count = len(machine.disks)
    message = f"{machine.name}: {machine.cpu.count} CPUs, {machine.memory >> 20} MiB, {count} disk{'s' * (count > 1)}"
    status = with_condition(o, status, "Planned", holds=True, reason="Described", message=message)
    actions = () if dry_run else _rehearsal(o, spec, status)
    return Decision(status, actions, requeue=0.0, occurrences=(Occurrence("Planned", message),))


def _rehearsal(
    o: Observed, spec: VirtualMachineMigrationSpec, status: VirtualMachineMigrationStatus
) -> tuple[Action, ...]:
    """What KubeVirt would refuse at the end is found before anything is copied."""
    if not spec.target.virtual_machine.create:
        return ()
    value = wanted_machine(o.key, spec, status, data_volumes=o.abilities.cdi)
    return (Rehearse(Resources.VIRTUAL_MACHINE.value, value),)


def _unmapped(spec: VirtualMachineMigrationSpec, machine: Machine) -> list[str]:
    options = spec.target.virtual_machine
    if not options.create:
        return []
    return [
        f"NetworkNotMapped: {nic.id} ({nic.network or 'no network'}) gets no network; "
        "name one in spec.target.virtualMachine.networks"
        for nic in map_networks(machine.nics, options.networks).unmapped
    ]
