"""VALIDATE: finished disks are checked, read back and started. Only then may they get their final names."""

from pathlib import Path

from hyper2kvm.boot.check import Candidate, boot
from hyper2kvm.boot.images import check_image
from hyper2kvm.disk.finished import CopiedDisk, TargetDisk
from hyper2kvm.disk.publish import standing
from hyper2kvm.disk.verify import ReadBack, find_damage, forget_damage
from hyper2kvm.guest.description import Guest
from hyper2kvm.sockets import socket_folder
from hyper2kvm.stages.documents import BootProof, Converted, Validated
from hyper2kvm.stages.work import Work
from hyper2kvm_api.errors import ImageError, TargetError, ValidationError
from hyper2kvm_api.plan import Plan
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.stage import Stage


def validate(work: Work, guest: Guest, converted: Converted, *, published: bool) -> Validated:
    """Prove that the copied disks are whole and that the machine starts from them.

    Args:
        work: the run.
        guest: what is on the disks.
        converted: the disks.
        published: whether they have their final names already: then they may be in use, and nothing of them is made anew.

    Raises:
        ValidationError: ContentMismatch, BootFailed or BootTimedOut.
        TargetError: TargetPublished, when published disks are not what they were.
        HostError: a program or firmware is missing or failed.
    """
    for copied in converted.disks:
        _check(work, copied, published=published)
    plan = work.plan
    proof = _start(work, guest, converted) if plan.boot.enabled else None
    return Validated(disks=tuple(copied.target for copied in converted.disks), boot=proof, domain=plan.domain_xml)


def _check(work: Work, copied: CopiedDisk, *, published: bool) -> None:
    target = _target(work.plan, copied)
    work.events.note(f"reading {target.path.name} back", disk=copied.id)
    try:
        check_image(target.id, target.path, target.format, target.capacity)
        _read_back(work, copied, target, published=published)
    except (ValidationError, ImageError) as error:
        if published:
            message = f"{target.path} was finished by an earlier run and has changed since: {error.message}"
            raise TargetError(Reason.TARGET_PUBLISHED, message, disk=copied.id) from error
        work.workspace.forget(Stage.CONVERT.document)
        raise


def _read_back(work: Work, copied: CopiedDisk, target: TargetDisk, *, published: bool) -> None:
    journal = work.workspace.journal(copied.id)
    log = work.workspace.scratch / f"{work.workspace.overlay(copied.id).stem}.target.log"
    with socket_folder(work.workspace.scratch) as sockets:
        read = ReadBack(target, copied.digest, copied.data, journal, sockets, log)
        damage = find_damage(read, work.events, work.stop)
    if damage is None:
        return
    if not published:
        forget_damage(journal, damage)
    message = f"disk {copied.id}: {target.path}: {damage.message}"
    raise ValidationError(Reason.CONTENT_MISMATCH, message, disk=copied.id)


def _start(work: Work, guest: Guest, converted: Converted) -> BootProof:
    plan = work.plan
    candidate = Candidate(
        machine=plan.machine,
        disks=tuple(_target(plan, copied) for copied in converted.disks),
        guest=guest,
        timeout=plan.boot.timeout,
        keys=Path(plan.keys_folder) if plan.keys_folder else None,
        memory=plan.boot.memory,
        network_model=plan.network_model,
    )
    proof = boot(candidate, work.workspace, work.events)
    if proof.missing_addresses:
        work.events.warn(
            "NetworkAddressMissing",
            f"no interface of the started guest had {', '.join(proof.missing_addresses)}, which its configuration states",
            hint="Compare the guest's network configuration with the adapters in the report, and correct it after the start.",
        )
    if proof.missing_leases:
        work.events.warn(
            "NetworkAddressMissing",
            f"{', '.join(proof.missing_leases)} had no address in the started guest, whose configuration asks for one by "
            "DHCP",
            hint="Compare the names in the guest's network configuration with the adapters in the report, and correct it "
            "after the start.",
        )
    if proof.probe is not None and proof.probe.failed_units:
        work.events.warn(
            "UnitsFailed",
            f"units that failed in the started guest: {', '.join(proof.probe.failed_units)}",
            hint="They may have failed before the migration too; `systemctl status` in the guest says why.",
        )
    return proof


def _target(plan: Plan, copied: CopiedDisk) -> TargetDisk:
    planned = next(disk for disk in plan.disks if disk.id == copied.id)
    return TargetDisk(copied.id, standing(copied), planned.format, copied.capacity, planned.bus, planned.serial)
