"""HandingOff: finished disks become DataVolumes, and a VirtualMachine is made of them."""

import re
from collections.abc import Sequence
from dataclasses import replace

from hyper2kvm_api.migration import DiskStatus, Failure, Phase, VirtualMachineMigrationSpec
from hyper2kvm_api.options import Handoff
from hyper2kvm_api.reasons import Reason
from hyper2kvm_operator.build import imageserver
from hyper2kvm_operator.build.datavolume import POPULATED_FOR, adopting, importing
from hyper2kvm_operator.build.metadata import Json
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.reconcile.migration.decision import (
    Action,
    Decision,
    Delete,
    Ensure,
    IssueCertificate,
    Merge,
    Occurrence,
    enter,
    failed,
    failure_for,
    line,
    seconds_since,
    waiting,
    with_condition,
)
from hyper2kvm_operator.reconcile.migration.needs import handoff
from hyper2kvm_operator.reconcile.migration.observed import DataVolumeState, Observed
from hyper2kvm_operator.reconcile.migration.phases.provisioning import claims, target_volumes
from hyper2kvm_operator.reconcile.migration.phases.wantedmachine import disks, wanted_machine
from hyper2kvm_operator.reconcile.migration.troubles import meaning, patience

_LOOK_AGAIN = 3.0
_IMPORT_RESTARTS = 3
_STANDSTILL = 3
"""How many times the operator's patience with a pod CDI may take without telling anything new."""

_SLOWEST = 4 << 20
"""Bytes a second of an import that CDI has no numbers of: it cannot reach its importer, as where a mesh or a
NetworkPolicy keeps it out (its progress stays `N/A`), and the import goes on all the same."""

CONDITION = "HandedOff"


def decide(o: Observed, spec: VirtualMachineMigrationSpec) -> Decision:
    """Hand the disks off, then make the VirtualMachine, then end. A failure leaves no server and no half import."""
    kind = handoff(spec)
    if kind is Handoff.NONE:
        return _finished(o, spec, "the finished images stay on their claims")
    return _adopt(o, spec) if kind is Handoff.ADOPT else _import(o, spec)


def given_up(o: Observed, spec: VirtualMachineMigrationSpec) -> tuple[Action, ...]:
    """What a failed handoff removes: nobody works on. What CDI has imported of a conversion goes as one, or stays as one."""
    kept = {disk.claim_name for disk in o.status.disks if disk.handed_off}
    imports = handoff(spec) is Handoff.IMPORT
    unfinished = [volume for volume in o.data_volumes if volume.name not in kept] if imports else []
    dropped = (Delete(Resources.DATA_VOLUME.value, volume.name, volume.uid) for volume in unfinished)
    return (*dropped, *stop_server(o))


def _adopt(o: Observed, spec: VirtualMachineMigrationSpec) -> Decision:
    gone = _gone(o)
    if gone:
        return failed(o, _lost_for_good(gone))
    released = _released(o, Resources.CLAIM)
    if released is not None:
        return released
    if not o.abilities.cdi:
        return _virtual_machine(o, spec, data_volumes=False)
    machine = o.status.machine
    known = {volume.name for volume in o.data_volumes}
    wanted = [claim for claim in claims(o, spec, machine) if claim["metadata"]["name"] not in known] if machine else []
    if wanted or not _all_succeeded(o):
        return _in_progress(o, [Ensure(Resources.DATA_VOLUME.value, adopting(o.key, claim)) for claim in wanted])
    return _virtual_machine(o, spec, data_volumes=True)


def _gone(o: Observed) -> list[str]:
    """The claims with finished disks that somebody has deleted: CDI and KubeVirt would make empty ones in their place."""
    there = {claim.name for claim in o.claims if not claim.going}
    return [disk.claim_name for disk in disks(o.status) if disk.claim_name and disk.claim_name not in there]


def _lost_for_good(gone: list[str]) -> Failure:
    return Failure(
        reason=Reason.HANDOFF_FAILED,
        message=f"the claim {gone[0]}, which held a finished disk, is gone",
        hint="Disks that were handed off are not written again: apply the migration under another name.",
    )


def _import(o: Observed, spec: VirtualMachineMigrationSpec) -> Decision:
    if _all_succeeded(o):
        released = _released(o, Resources.DATA_VOLUME)
        return released.also(*stop_server(o)) if released else _virtual_machine(o, spec, data_volumes=True)
    server = o.serve_pod
    if server is not None and server.ended:
        gone = Delete(Resources.POD.value, server.name, server.uid)
        return Decision(o.status.replaced(progress="starting another image server"), (gone,), requeue=1.0)
    if server is not None and o.certificate and not server.running and server.trouble is not None:
        message = f"{server.name}: {server.trouble.message}"
        return waiting(o, meaning(server.trouble), message, CONDITION, patience=patience(server.trouble))
    # An importer that finds no server counts as one that failed; the image may have to be pulled first.
    serving = server is not None and server.running and o.certificate
    return _in_progress(o, [*_server(o, spec), *(_imports(o, spec) if serving else ())])


def _server(o: Observed, spec: VirtualMachineMigrationSpec) -> list[Action]:
    """The image server. Its pod comes first and goes last: as long as it is there, the rest may be."""
    actions: list[Action] = []
    if o.serve_pod is None:
        claimed = [target.claim for target in target_volumes(o, spec)]
        actions.append(Ensure(Resources.POD.value, imageserver.pod(o.key, spec, o.settings, claimed)))
    elif not o.certificate:
        # A crash came between the two. The pod may have mounted a Secret that is made anew, and would go on with the old.
        actions.append(Delete(Resources.POD.value, o.serve_pod.name, o.serve_pod.uid))
    if not o.certificate:
        actions.append(Ensure(Resources.SERVICE.value, imageserver.service(o.key)))
        # Last: where there is a certificate, nothing of the server is looked for any more.
        actions.append(IssueCertificate(imageserver.server_host(o.key, o.settings)))
    return actions


def _imports(o: Observed, spec: VirtualMachineMigrationSpec) -> list[Action]:
    known = {volume.name for volume in o.data_volumes}
    by_id = {disk.id: disk for disk in disks(o.status)}
    actions: list[Action] = []
    for target in target_volumes(o, spec):
        disk = by_id[target.disk]
        if disk.claim_name is None or disk.claim_name in known:
            continue
        value = importing(
            o.key,
            disk.claim_name,
            disk.capacity or 0,
            spec.target.disks,
            o.abilities.overheads,
            url=imageserver.image_url(o.key, o.settings, target.claim, target.file),
            server=imageserver.server_name(o.key),
            default_class=o.abilities.default_class,
        )
        actions.append(Ensure(Resources.DATA_VOLUME.value, value))
    return actions


def stop_server(o: Observed) -> tuple[Action, ...]:
    """Remove the image server with its credentials, when there is one."""
    if o.serve_pod is None and not o.certificate:
        return ()
    name = imageserver.server_name(o.key)
    kinds = (Resources.SECRET, Resources.CONFIG_MAP, Resources.SERVICE, Resources.POD)
    return tuple(Delete(kind.value, name) for kind in kinds)


def _released(o: Observed, resource: Resources) -> Decision | None:
    """Let go of disks, and say so before anything else is done with them; None when that has been done."""
    mine = [disk for disk in disks(o.status) if not disk.handed_off]
    if not mine:
        return None
    return Decision(_handed_off(o).status, tuple(_release(disk, resource) for disk in mine), requeue=0.0)


def _virtual_machine(o: Observed, spec: VirtualMachineMigrationSpec, *, data_volumes: bool) -> Decision:
    if not spec.target.virtual_machine.create or o.status.machine is None:
        return _finished(o, spec, "the disks are handed off" + _degraded(o, spec))
    if o.virtual_machine is None:
        value = wanted_machine(o.key, spec, o.status, data_volumes=data_volumes)
        return Decision(o.status, (Ensure(Resources.VIRTUAL_MACHINE.value, value),), requeue=1.0)
    owned = Resources.DATA_VOLUME if data_volumes else Resources.CLAIM
    done = _finished(o, spec, f"VirtualMachine {o.status.virtual_machine_name}{_degraded(o, spec)}")
    return done.also(*(_give(disk, owned, _vm_owner(o)) for disk in disks(o.status)))


def _degraded(o: Observed, spec: VirtualMachineMigrationSpec) -> str:
    """What the user is told where there is no CDI to adopt the claims."""
    without = handoff(spec) is Handoff.ADOPT and not o.abilities.cdi
    return "; CDI is not installed: the claims themselves are the disks" if without else ""


def _finished(o: Observed, spec: VirtualMachineMigrationSpec, message: str) -> Decision:
    status = enter(o, Phase.SUCCEEDED, message)
    status = with_condition(o, status, CONDITION, holds=True, reason=handoff(spec).value, message=message)
    return Decision(status, requeue=0.0, occurrences=(Occurrence("Succeeded", f"Migrated: {message}."),))


def _in_progress(o: Observed, actions: list[Action]) -> Decision:
    """Wait for CDI, as long as it tells something new now and then."""
    broken = next((volume for volume in o.data_volumes if _broken(volume)), None)
    if broken is not None:
        often = f", its importer was started again {broken.restarts} times" if broken.restarts else ""
        told = broken.message or f"phase {broken.phase}{often}"
        return failed(o, failure_for(Reason.HANDOFF_FAILED, f"DataVolume {broken.name}: {told}"))
    message = line(_told(o.data_volumes) or ("creating DataVolumes" if actions else "waiting for the image server"))
    still = seconds_since(o, o.status.progressed_at) if message == o.status.progress else 0.0
    if still > _STANDSTILL * o.settings.start_deadline + _unnumbered(o) / _SLOWEST:
        error = failure_for(Reason.HANDOFF_FAILED, f"CDI has told nothing new for {still / 60:.0f} minutes: {message}")
        return failed(o, error)
    status = with_condition(o, o.status, CONDITION, holds=False, reason="InProgress", message=message)
    return Decision(status.replaced(progress=message), tuple(actions), requeue=_LOOK_AGAIN)


def _told(volumes: Sequence[DataVolumeState]) -> str:
    """What CDI tells of the disks. However many there are: the line changes when any of them moves."""
    done = sum(volume.phase == "Succeeded" for volume in volumes)
    count = (
        f"{done} of {len(volumes)}, {sum(map(_percent, volumes)) / len(volumes):.2f} %: " if len(volumes) > 1 else ""
    )
    ordered = sorted(volumes, key=lambda volume: volume.phase == "Succeeded")
    return count + ", ".join(f"{v.name} {v.phase}{f' {v.progress}' if v.progress else ''}" for v in ordered)


def _unnumbered(o: Observed) -> int:
    """Bytes of the disks that are being imported without a number of CDI's."""
    untold = {v.name for v in o.data_volumes if v.phase == "ImportInProgress" and _number(v) is None}
    return sum(disk.capacity or 0 for disk in disks(o.status) if disk.claim_name in untold)


def _percent(volume: DataVolumeState) -> float:
    """How much of a disk is imported; 0 where CDI does not say."""
    return 100.0 if volume.phase == "Succeeded" else _number(volume) or 0.0


def _number(volume: DataVolumeState) -> float | None:
    """CDI's progress as a number, 0 to 100."""
    found = re.fullmatch(r"([0-9.]+)%", volume.progress or "")
    return float(found[1]) if found else None


def _broken(volume: DataVolumeState) -> bool:
    """Whether CDI has failed.

    It tells why between the end of an importer and the start of the next, and may miss one that ended quickly: where
    it says nothing, its words are waited for as many starts again.
    """
    patience = _IMPORT_RESTARTS if volume.message else 2 * _IMPORT_RESTARTS
    return volume.phase == "Failed" or (volume.restarts > patience and volume.phase != "Succeeded")


def _all_succeeded(o: Observed) -> bool:
    done = {volume.name for volume in o.data_volumes if volume.phase == "Succeeded"}
    return all(disk.claim_name in done for disk in disks(o.status))


def _handed_off(o: Observed) -> Observed:
    changed = [disk.replaced(handed_off=True) for disk in o.status.disks]
    return replace(o, status=o.status.replaced(disks=changed))


def _release(disk: DiskStatus, resource: Resources = Resources.CLAIM) -> Merge:
    """Take a disk out of the migration's hands: deleting the migration no longer removes it."""
    metadata: Json = {"ownerReferences": None}
    if resource is Resources.CLAIM:
        metadata["annotations"] = {POPULATED_FOR: disk.claim_name}
    return Merge(resource.value, disk.claim_name or "", {"metadata": metadata})


def _give(disk: DiskStatus, resource: Resources, owner: Json) -> Merge:
    return Merge(resource.value, disk.claim_name or "", {"metadata": {"ownerReferences": [owner]}})


def _vm_owner(o: Observed) -> Json:
    kind = Resources.VIRTUAL_MACHINE.value
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": o.status.virtual_machine_name,
        "uid": o.virtual_machine,
        "controller": False,
        "blockOwnerDeletion": False,
    }
