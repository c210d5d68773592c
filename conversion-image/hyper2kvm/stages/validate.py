"""VALIDATE: finished disks are checked, read back and started; only then do they get their final names."""

import errno
import os
from pathlib import Path

from hyper2kvm.boot.check import Candidate, boot
from hyper2kvm.boot.images import check_image
from hyper2kvm.disk.finished import TargetDisk
from hyper2kvm.disk.publish import publish, standing
from hyper2kvm.disk.verify import verify_disk
from hyper2kvm.domain import DomainDisk, domain_xml
from hyper2kvm.guest.description import Guest
from hyper2kvm.stages.documents import BootProof, Converted, CopiedDisk, Validated
from hyper2kvm.stages.work import Work
from hyper2kvm.workspace import sync_folder
from hyper2kvm_api.errors import ImageError, TargetError, ValidationError
from hyper2kvm_api.plan import Plan
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.stage import Stage

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def validate(work: Work, guest: Guest, converted: Converted) -> Validated:
    """Prove that the copied disks are whole and that the machine starts from them, then publish them.

    Raises:
        ValidationError: ContentMismatch, BootFailed or BootTimedOut. Nothing is published.
        TargetError: there is something of the target's name already, or it cannot be written.
        HostError: a program or firmware is missing or failed.
    """
    plan = work.plan
    domain = _domain(plan, guest, converted)
    _check_free(plan, domain)
    for copied in converted.disks:
        _check(work, copied)
    proof = _start(work, guest, converted) if plan.boot.enabled else None
    for copied in converted.disks:
        publish(copied)
    if plan.domain_xml is not None:
        _write(Path(plan.domain_xml), domain)
    return Validated(disks=tuple(copied.target for copied in converted.disks), boot=proof, domain=plan.domain_xml)


def holds(validated: Validated) -> bool:
    """Whether everything that was published is still there."""
    published = [*validated.disks, *([validated.domain] if validated.domain else [])]
    return all(Path(path).exists() for path in published)


def _check(work: Work, copied: CopiedDisk) -> None:
    target = _target(work.plan, copied)
    work.events.note(f"reading {target.path.name} back", disk=copied.id)
    try:
        check_image(target.id, target.path, target.format, target.capacity)
        verify_disk(work, target, copied.digest)
    except (ValidationError, ImageError):
        work.workspace.forget(Stage.CONVERT.document)
        raise


def _start(work: Work, guest: Guest, converted: Converted) -> BootProof:
    plan = work.plan
    candidate = Candidate(
        machine=plan.machine,
        disks=tuple(_target(plan, copied) for copied in converted.disks),
        guest=guest,
        timeout=plan.boot.timeout,
        keys=Path(plan.keys_folder) if plan.keys_folder else None,
        memory=plan.boot.memory,
    )
    proof = boot(candidate, work.workspace, work.events)
    if proof.missing_addresses:
        work.events.warn(
            "NetworkAddressMissing",
            f"no interface of the started guest had {', '.join(proof.missing_addresses)}, which its configuration states",
            hint="Compare the guest's network configuration with the adapters in the report, and correct it after the start.",
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


def _domain(plan: Plan, guest: Guest, converted: Converted) -> str:
    blocks = {copied.id: standing(copied).is_block_device() for copied in converted.disks}
    disks = tuple(DomainDisk(planned, blocks[planned.id]) for planned in plan.disks)
    return domain_xml(plan.name, plan.machine, guest.firmware, guest.boot_disk, disks)


def _check_free(plan: Plan, domain: str) -> None:
    """Refuse early what would fail after the start."""
    if plan.domain_xml is None:
        return
    path = Path(plan.domain_xml)
    if os.path.lexists(path) and not (path.is_file() and path.read_bytes() == domain.encode()):
        raise TargetError(Reason.TARGET_EXISTS, f"{path}, the libvirt domain, exists already", file=str(path))


def _write(path: Path, text: str) -> None:
    """Write a file in one step, unless it is there: `_check_free` has compared it."""
    if path.exists():
        return
    temporary = path.with_name(f".{path.name}.partial")
    try:
        with temporary.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        reason = Reason.TARGET_FULL if error.errno in _FULL else Reason.TARGET_UNWRITABLE
        raise TargetError(reason, f"{path}: {error.strerror}", file=str(path)) from error
