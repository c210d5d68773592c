"""HandingOff: finished disks become DataVolumes, and a VirtualMachine is made of them."""

from dataclasses import replace

from hyper2kvm_api.devices import chosen_devices
from hyper2kvm_api.errors import SpecError
from hyper2kvm_api.machine import Firmware
from hyper2kvm_api.migration import DiskStatus, Phase, VirtualMachineMigrationSpec
from hyper2kvm_api.names import disk_serial
from hyper2kvm_api.options import Handoff
from hyper2kvm_api.reasons import Reason
from hyper2kvm_operator.build import imageserver
from hyper2kvm_operator.build.datavolume import POPULATED_FOR, adopting, importing
from hyper2kvm_operator.build.metadata import Json
from hyper2kvm_operator.build.virtualmachine import AttachedDisk, virtual_machine
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.reconcile.migration.decision import (
    Action,
    Decision,
    Delete,
    Ensure,
    IssueCertificate,
    Merge,
    Occurrence,
    cluster_failure,
    enter,
    failed,
    failed_by,
    with_condition,
)
from hyper2kvm_operator.reconcile.migration.observed import DataVolumeState, Observed
from hyper2kvm_operator.reconcile.migration.phases.pending import handoff
from hyper2kvm_operator.reconcile.migration.phases.provisioning import claims, target_volumes

_LOOK_AGAIN = 3.0
_IMPORT_RESTARTS = 3


def decide(o: Observed) -> Decision:
    """Hand the disks off, then make the VirtualMachine, then end."""
    if isinstance(o.spec, SpecError):
        return failed_by(o, o.spec)
    if o.spec.suspend:
        return Decision(o.status.replaced(progress="suspended"))
    kind = handoff(o.spec)
    if kind is Handoff.NONE:
        return _finished(o, o.spec, "the finished images stay on their claims")
    broken = next((volume for volume in o.data_volumes if _broken(volume)), None)
    if broken is not None:
        told = broken.message or f"phase {broken.phase}"
        return failed(o, cluster_failure(Reason.HANDOFF_FAILED, f"DataVolume {broken.name}: {told}"))
    if kind is Handoff.ADOPT:
        return _adopt(o, o.spec)
    return _import(o, o.spec)


def _adopt(o: Observed, spec: VirtualMachineMigrationSpec) -> Decision:
    if not o.abilities.cdi:
        released = tuple(_release(disk) for disk in _disks(o) if not disk.handed_off)
        return _virtual_machine(_handed_off(o), spec, data_volumes=False, before=released)
    machine = o.status.machine
    known = {volume.name for volume in o.data_volumes}
    made = {claim["metadata"]["name"]: claim for claim in claims(o, spec, machine)} if machine else {}
    actions: list[Action] = []
    for disk in _disks(o):
        if disk.claim_name and disk.claim_name not in known:
            actions += [_release(disk), Ensure(Resources.DATA_VOLUME.value, adopting(o.key, made[disk.claim_name]))]
    if actions or not _all_succeeded(o):
        return _waiting(_handed_off(o), actions)
    return _virtual_machine(_handed_off(o), spec, data_volumes=True)


def _import(o: Observed, spec: VirtualMachineMigrationSpec) -> Decision:
    if _all_succeeded(o):
        released = tuple(_release(disk, Resources.DATA_VOLUME) for disk in _disks(o) if not disk.handed_off)
        return _virtual_machine(_handed_off(o), spec, data_volumes=True, before=(*released, *stop_server(o)))
    host = imageserver.server_host(o.key, o.settings)
    artifacts = target_volumes(o, spec)
    actions: list[Action] = []
    if not o.certificate:
        actions.append(IssueCertificate(host))
    if o.serve_pod is None:
        actions.append(Ensure(Resources.SERVICE.value, imageserver.service(o.key)))
        actions.append(
            Ensure(
                Resources.POD.value, imageserver.pod(o.key, spec, o.settings, [target.claim for target in artifacts])
            )
        )
    known = {volume.name for volume in o.data_volumes}
    capacities = {disk.id: disk for disk in _disks(o)}
    for target in artifacts:
        disk = capacities[target.disk]
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
        )
        actions.append(Ensure(Resources.DATA_VOLUME.value, value))
    return _waiting(o, actions)


def stop_server(o: Observed) -> tuple[Action, ...]:
    """Remove the image server with its credentials, when there is one."""
    if o.serve_pod is None and not o.certificate:
        return ()
    name = imageserver.server_name(o.key)
    kinds = (Resources.POD, Resources.SERVICE, Resources.SECRET, Resources.CONFIG_MAP)
    return tuple(Delete(kind.value, name) for kind in kinds)


def _virtual_machine(
    o: Observed, spec: VirtualMachineMigrationSpec, *, data_volumes: bool, before: tuple[Action, ...] = ()
) -> Decision:
    machine = o.status.machine
    if not spec.target.virtual_machine.create or machine is None:
        done = _finished(o, spec, "the disks are handed off" + _degraded(o, spec))
        return Decision(done.status, (*before, *done.actions), occurrences=done.occurrences)
    if o.virtual_machine is None:
        disks = [
            AttachedDisk(
                id=disk.id,
                claim=disk.claim_name or "",
                data_volume=data_volumes,
                serial=disk_serial(index),
                boot=disk.id == (o.status.boot_disk or _disks(o)[0].id),
            )
            for index, disk in enumerate(_disks(o))
        ]
        devices = chosen_devices(spec.target, repaired=o.status.repaired is not False)
        firmware = o.status.firmware or Firmware.BIOS
        value = virtual_machine(o.key, machine, firmware, disks, spec.target.virtual_machine, devices)
        return Decision(o.status, (*before, Ensure(Resources.VIRTUAL_MACHINE.value, value)), requeue=1.0)
    owned = Resources.DATA_VOLUME if data_volumes else Resources.CLAIM
    done = _finished(o, spec, f"VirtualMachine {o.status.virtual_machine_name}{_degraded(o, spec)}")
    owners = tuple(_give(disk, owned, _vm_owner(o)) for disk in _disks(o))
    return Decision(done.status, (*before, *owners, *done.actions), occurrences=done.occurrences)


def _degraded(o: Observed, spec: VirtualMachineMigrationSpec) -> str:
    """What the user is told where there is no CDI to adopt the claims."""
    without = handoff(spec) is Handoff.ADOPT and not o.abilities.cdi
    return "; CDI is not installed: the claims themselves are the disks" if without else ""


def _finished(o: Observed, spec: VirtualMachineMigrationSpec, message: str) -> Decision:
    status = enter(o, Phase.SUCCEEDED, message)
    status = with_condition(o, status, "HandedOff", holds=True, reason=handoff(spec).value, message=message)
    return Decision(status, requeue=0.0, occurrences=(Occurrence("Succeeded", f"Migrated: {message}."),))


def _waiting(o: Observed, actions: list[Action]) -> Decision:
    told = ", ".join(f"{v.name} {v.phase}{f' {v.progress}' if v.progress else ''}" for v in o.data_volumes)
    message = told or "creating DataVolumes"
    status = with_condition(o, o.status, "HandedOff", holds=False, reason="InProgress", message=message)
    return Decision(status.replaced(progress=message[:250]), tuple(actions), requeue=_LOOK_AGAIN)


def _broken(volume: DataVolumeState) -> bool:
    return volume.phase == "Failed" or (volume.restarts > _IMPORT_RESTARTS and volume.phase != "Succeeded")


def _all_succeeded(o: Observed) -> bool:
    done = {volume.name for volume in o.data_volumes if volume.phase == "Succeeded"}
    return all(disk.claim_name in done for disk in _disks(o))


def _disks(o: Observed) -> list[DiskStatus]:
    return [disk for disk in o.status.disks if disk.claim_name is not None]


def _handed_off(o: Observed) -> Observed:
    disks = [disk.replaced(handed_off=True) for disk in o.status.disks]
    return replace(o, status=o.status.replaced(disks=disks))


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
