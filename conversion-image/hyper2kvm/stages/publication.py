"""Publication: proven targets get their final names, and from then on nothing here writes them again."""

import hashlib
import os
from pathlib import Path

from hyper2kvm.disk.publish import give_name, publish, standing
from hyper2kvm.disk.targets.opening import provisional, refuse_existing, refuse_replaced
from hyper2kvm.domain import DomainDisk, domain_xml
from hyper2kvm.guest.description import Guest
from hyper2kvm.sources.description import Fetched
from hyper2kvm.stages.documents import Converted, Published
from hyper2kvm.stages.work import Work
from hyper2kvm.workspace import FULL, digest, sync_folder
from hyper2kvm_api.errors import TargetError
from hyper2kvm_api.plan import Plan
from hyper2kvm_api.reasons import Reason

_DOCUMENT = "published"


def earlier(work: Work, fetched: Fetched) -> Published | None:
    """What an earlier run of this workspace has published of the plan's targets; None when there is nothing of it.

    Raises:
        TargetError: TargetPublished, when something else would be made now, or another device is where a finished one was;
            TargetExists, when a name is taken by what is not this workspace's. So a run ends before its work, not after it.
    """
    published = work.workspace.read(Published, _DOCUMENT)
    if published is None and (work.workspace.folder / f"{_DOCUMENT}.json").exists():
        raise _changed(f"{_DOCUMENT}.json in the workspace is of another version: what was finished is not known")
    _refuse_domain(work.plan, published)
    if published is None or not any(_is_there(disk.target, published) for disk in work.plan.disks):
        for disk in work.plan.disks:
            refuse_existing(disk)
        return None
    for disk in work.plan.disks:
        target = Path(disk.target)
        if not (os.path.lexists(target) or os.path.lexists(provisional(target))):
            raise _changed(
                f"{target} was finished by an earlier run and is gone, others of the machine's disks are not"
            )
    if published.made_from != _made_from(work.plan, fetched):
        raise _changed(f"{published.targets[0]} was finished by an earlier run, from another plan or source")
    for disk in work.plan.disks:
        refuse_replaced(disk, work.workspace.journal(disk.id))
    return published


def publish_all(work: Work, fetched: Fetched, converted: Converted, text: str, *, published: bool) -> None:
    """Give every target its final name, and write the libvirt domain. Does nothing where it has been done.

    Args:
        work: the run.
        fetched: what the source held.
        converted: the proven targets.
        text: the libvirt domain.
        published: whether an earlier run has begun with it: what has its final name by now is its machine's.

    Raises:
        TargetError: TargetExists, TargetFull or TargetUnwritable.
        HostError: WorkspaceFull or WorkspaceUnusable.
    """
    before = work.workspace.read(Published, _DOCUMENT)
    document = Published(
        made_from=_made_from(work.plan, fetched),
        targets=tuple(copied.target for copied in converted.disks),
        domains=tuple(dict.fromkeys((*(before.domains if before else ()), _digest(text.encode())))),
    )
    _refuse_domain(work.plan, document)
    if document != before:
        work.workspace.write(_DOCUMENT, document, "")
    for copied in converted.disks:
        if not (published and standing(copied) == Path(copied.target)):
            publish(copied)
    if work.plan.domain_xml is not None:
        _write(Path(work.plan.domain_xml), text)


def _is_there(target: str, published: Published) -> bool:
    return target in published.targets and os.path.lexists(target)


def _changed(message: str) -> TargetError:
    return TargetError(Reason.TARGET_PUBLISHED, message)


def _made_from(plan: Plan, fetched: Fetched) -> str:
    """What decides the content of the targets."""
    return digest(fetched, plan.content(fetched.machine).decode())


def domain(plan: Plan, guest: Guest, converted: Converted) -> str:
    """The libvirt domain of the proven targets, for a plan with the devices that the guest gets."""
    blocks = {copied.id: standing(copied).is_block_device() for copied in converted.disks}
    disks = tuple(DomainDisk(planned, blocks[planned.id]) for planned in plan.disks)
    return domain_xml(plan.name, plan.machine, guest.firmware, guest.boot_disk, disks, plan.network_model)


def _refuse_domain(plan: Plan, published: Published | None) -> None:
    """A domain that this workspace wrote may be replaced; another one is somebody's."""
    if plan.domain_xml is None or not os.path.lexists(plan.domain_xml):
        return
    path = Path(plan.domain_xml)
    if path.is_symlink() or not path.is_file() or published is None or _digest(_read(path)) not in published.domains:
        raise TargetError(Reason.TARGET_EXISTS, f"{path}, the libvirt domain, exists already", file=str(path))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TargetError(Reason.TARGET_UNWRITABLE, f"{path}: {error.strerror}", file=str(path)) from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write(path: Path, text: str) -> None:
    """Write the domain in one step. What is there already is this workspace's own, or nothing."""
    if path.exists() and _read(path) == text.encode():
        return
    temporary = provisional(path)
    try:
        with temporary.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            temporary.replace(path)
            sync_folder(path.parent)
        else:
            give_name(temporary, path)
    except FileExistsError:
        raise TargetError(Reason.TARGET_EXISTS, f"{path}, the libvirt domain, exists already", file=str(path)) from None
    except OSError as error:
        reason = Reason.TARGET_FULL if error.errno in FULL else Reason.TARGET_UNWRITABLE
        raise TargetError(reason, f"{path}: {error.strerror}", file=str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)
