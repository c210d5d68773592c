"""Provisioning: the claims of the targets and of the workspace, and the plan."""

import datetime as dt
from collections.abc import Iterable, Sequence

from hyper2kvm_api.machine import Machine
from hyper2kvm_api.migration import Phase, VirtualMachineMigrationSpec
from hyper2kvm_api.names import disk_suffix
from hyper2kvm_api.options import Handoff, VolumeMode
from hyper2kvm_api.plan import Plan
from hyper2kvm_api.resolve import Places, resolve
from hyper2kvm_operator.build.claims import WORKSPACE, disk_claim, volume_mode, workspace_claim
from hyper2kvm_operator.build.metadata import Json
from hyper2kvm_operator.build.pod import QEMU_USER
from hyper2kvm_operator.build.volumes import KEYS_FOLDER, SOURCE_FOLDER, TARGETS_FOLDER, TargetVolume
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.reconcile.migration.decision import (
    Action,
    Decision,
    Delete,
    Ensure,
    enter,
    line,
    with_condition,
)
from hyper2kvm_operator.reconcile.migration.needs import handoff
from hyper2kvm_operator.reconcile.migration.observed import ClaimState, Observed


def decide(o: Observed, spec: VirtualMachineMigrationSpec) -> Decision:
    """Make what the convert Job needs. Claims need not be bound: the Job's pod is their first consumer."""
    machine = o.status.machine
    if machine is None:
        return Decision(enter(o, Phase.PENDING, "planning again"), requeue=0.0)
    wanted = [*claims(o, spec, machine), workspace_claim(o.key, spec.job.workspace)]
    unfit = _unfit(o, wanted)
    if unfit:
        message = f"replacing {', '.join(claim.name for claim in unfit)}, made for an earlier spec"
        return Decision(o.status.replaced(progress=line(message)), remove_claims(unfit), requeue=1.0)
    status = enter(o, Phase.CONVERTING, "waiting for the pod")
    status = with_condition(
        o, status, "Provisioned", holds=True, reason="ClaimsCreated", message=f"{len(machine.disks)} volumes requested"
    )
    return Decision(status, requeue=0.0).also(*(Ensure(Resources.CLAIM.value, claim) for claim in wanted))


def given_up(o: Observed, _: VirtualMachineMigrationSpec) -> tuple[Action, ...]:
    """What a migration removes that fails before its conversion: claims that nothing was written to, which a quota counts."""
    began = o.status.phase_started_at
    made = [one for one in o.claims if began and not one.going and one.created >= dt.datetime.fromisoformat(began)]
    return remove_claims(made)


def remove_claims(there: Iterable[ClaimState]) -> tuple[Delete, ...]:
    """Remove claims with what is on them."""
    return tuple(Delete(Resources.CLAIM.value, claim.name, claim.uid) for claim in there)


def _unfit(o: Observed, wanted: Sequence[Json]) -> list[ClaimState]:
    """The claims to replace. With a disk's goes the workspace, which says of it what is no longer so."""
    taken = _taken(o, {one["metadata"]["name"] for one in wanted})
    unfit = [
        claim
        for claim in o.claims
        if claim.going or claim.name in taken or any(not _fits(claim, one) for one in wanted)
    ]
    workspace = o.key.child(WORKSPACE)
    if all(claim.name == workspace for claim in unfit):
        return unfit
    return [*unfit, *(claim for claim in o.claims if claim.name == workspace and claim not in unfit)]


def _taken(o: Observed, wanted: set[str]) -> set[str]:
    """The names under which CDI is to make claims itself: one that was made to be adopted would be in its way."""
    imported = {volume.name for volume in o.data_volumes}
    return {
        disk.claim_name
        for disk in o.status.disks
        if disk.claim_name and not disk.handed_off and disk.claim_name not in wanted | imported
    }


def _fits(claim: ClaimState, wanted: Json) -> bool:
    """Whether a claim that is there can be used for one that is wanted; one of another name does not matter."""
    spec = wanted["spec"]
    return claim.name != wanted["metadata"]["name"] or (
        claim.storage_class == spec.get("storageClassName", claim.storage_class)
        and claim.mode == spec["volumeMode"]
        and set(claim.access_modes) == set(spec["accessModes"])
        and (claim.requested is None or claim.requested >= int(spec["resources"]["requests"]["storage"]))
    )


def make_plan(o: Observed, spec: VirtualMachineMigrationSpec, machine: Machine) -> Plan:
    """The plan that the convert Job runs."""
    places = Places(
        source=SOURCE_FOLDER,
        output=TARGETS_FOLDER,
        targets={target.disk: target.path for target in target_volumes(o, spec)},
        keys=KEYS_FOLDER,
        owner=QEMU_USER,
        domain=False,
    )
    return resolve(o.migration, (), machine, places)


def target_volumes(o: Observed, spec: VirtualMachineMigrationSpec) -> tuple[TargetVolume, ...]:
    """The claims that disks are written to, and where the pod sees them."""
    options = spec.target.disks
    kind = handoff(spec)
    adopted = kind is Handoff.ADOPT
    mode = volume_mode(options) if adopted else VolumeMode.FILESYSTEM
    file = "disk.img" if adopted else f"disk.{options.format.value}"
    return tuple(
        TargetVolume(
            disk.id, o.key.child(artifact_suffix(index)) if kind is Handoff.IMPORT else disk.claim_name, mode, file
        )
        for index, disk in enumerate(o.status.disks)
        if disk.claim_name is not None
    )


def claims(o: Observed, spec: VirtualMachineMigrationSpec, machine: Machine) -> list[Json]:
    """The claims of the targets."""
    sizes = {disk.id: disk.capacity for disk in machine.disks}
    options = spec.target.disks
    if handoff(spec) is Handoff.IMPORT:
        # Files that one pod reads and that go: a class of block volumes, or of dear ones, is the target's alone.
        options = options.replaced(access_modes=[], storage_class_name=spec.job.workspace.storage_class_name)
    return [
        disk_claim(
            o.key,
            target.claim,
            sizes[target.disk],
            options,
            o.abilities.overheads,
            mode=target.mode,
            default_class=o.abilities.default_class,
        )
        for target in target_volumes(o, spec)
    ]


def artifact_suffix(index: int) -> str:
    """What is added to a migration's name for the claim of a finished image that CDI imports, or that stays."""
    return f"{disk_suffix(index)}-artifact"
