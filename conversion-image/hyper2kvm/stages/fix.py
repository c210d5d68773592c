"""FIX: plan the changes that make the guest boot, and apply them to the overlays."""

from collections.abc import Iterable
from pathlib import Path

from hyper2kvm.guest import contents, encryption, fixers, space
from hyper2kvm.guest.appliance import Appliance
from hyper2kvm.guest.apply import apply, verify
from hyper2kvm.guest.description import Guest
from hyper2kvm.guest.draft import Draft, Finding
from hyper2kvm.guest.fixer import Situation
from hyper2kvm.guest.records import describe
from hyper2kvm.guest.trim import Trimmed, trim
from hyper2kvm.guest.unsupported import allow_copy
from hyper2kvm.stages.documents import Fixed
from hyper2kvm.stages.opened import OpenedDisks
from hyper2kvm.stages.work import Work
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.migration import Mode
from hyper2kvm_api.plan import Plan
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.resolve import made_up_addresses

_NOTHING_TRIMMED = Trimmed(None)


def fix(work: Work, guest: Guest, opened: OpenedDisks) -> Fixed:
    """Repair a guest. In Plan mode, and for a guest that is copied unchanged, nothing is written.

    Raises:
        GuestError: the guest cannot be made to boot, or a change did not take effect.
        HostError: the appliance did not start or ended.
    """
    if not _repairable(work, guest):
        return Fixed(applied=False, notes=("the disks are copied unchanged: the guest is not one that is repaired",))
    appliance = opened.appliance
    _mount(appliance, work, guest)
    draft = fixers.plan(appliance, _situation(work.plan, guest))
    _tell(work, draft.findings)
    records = describe(draft.edits(), appliance)
    if work.plan.mode is Mode.PLAN:
        return Fixed(applied=False, edits=records, notes=tuple(draft.notes))
    trimmed = _write(appliance, work, guest, draft)
    return Fixed(
        applied=True,
        edits=records,
        trimmed=trimmed.size,
        notes=(*draft.notes, *trimmed.notes),
        overlays=opened.keep(),
    )


def _situation(plan: Plan, guest: Guest) -> Situation:
    return Situation(guest, plan.machine, plan.disks, plan.guest, made_up_addresses(plan), plan.network_model)


def _repairable(work: Work, guest: Guest) -> bool:
    """Whether there is something to repair; an error where the user does not allow a mere copy."""
    if not guest.supported:
        return False
    if guest.boot_loaders:
        return True
    error = GuestError(
        Reason.BOOT_LOADER_UNKNOWN, f"{guest.root}: no GRUB 2, systemd-boot or extlinux with its menu was found"
    )
    allow_copy(error, work.plan.guest.when_unsupported, work.events)
    return False


def _mount(appliance: Appliance, work: Work, guest: Guest) -> None:
    """As INSPECT left it, but writable. An earlier process may have inspected: nothing is unlocked then."""
    if any(device.type == encryption.LUKS for device in guest.devices):
        folder = Path(work.plan.keys_folder) if work.plan.keys_folder else None
        contents.look(appliance.handle, work.plan.machine, encryption.read_keys(folder))
    appliance.mount_guest(guest, writable=work.plan.mode is Mode.MIGRATE)


def _tell(work: Work, findings: Iterable[Finding]) -> None:
    for finding in findings:
        work.events.warn(finding.reason, finding.message, hint=finding.hint)


def _write(appliance: Appliance, work: Work, guest: Guest, draft: Draft) -> Trimmed:
    edits = draft.edits()
    space.check(edits, guest.mounts, appliance)
    apply(edits, appliance)
    work.events.note(f"{len(edits)} change(s) made in the guest")
    trimmed = trim(appliance.handle, guest) if work.plan.guest.trim else _NOTHING_TRIMMED
    _tell(work, trimmed.findings)
    appliance.sync()
    verify(edits, appliance)
    return trimmed
