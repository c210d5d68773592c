"""Publishing: a complete, verified target gets its final name, which is never taken from another file."""

import errno
from contextlib import closing
from pathlib import Path

from hyper2kvm.disk.finished import CopiedDisk
from hyper2kvm.disk.syscalls import rename_noreplace
from hyper2kvm.disk.targets.opening import held_by_another, open_provisional
from hyper2kvm.workspace import sync_folder
from hyper2kvm_api.errors import TargetError
from hyper2kvm_api.reasons import Reason


def standing(copied: CopiedDisk) -> Path:
    """Where a copied disk stands: under its provisional name, or published by a run that was interrupted then."""
    written = Path(copied.written)
    return written if written.exists() else Path(copied.target)


def stands(copied: CopiedDisk) -> bool:
    """Whether a copied disk is still there: published, or under its provisional name and no other run's file."""
    path = standing(copied)
    return path.exists() and (path == Path(copied.target) or _is_own(copied, path))


def publish(copied: CopiedDisk) -> None:
    """Give a target its final name, durably. Does nothing for block devices, and where it has been done.

    Nobody held the provisional file since its copy was complete: another run may have put its own there.

    Raises:
        TargetError: TargetExists or TargetUnwritable; the provisional file is still there.
    """
    written, target = Path(copied.written), Path(copied.target)
    if written == target:
        return
    try:
        held = open_provisional(written)
        if held is None:
            _refuse_foreign(copied, target)
            return
        with closing(held):
            _refuse_foreign(copied, written)
            give_name(written, target)
    except BlockingIOError:
        raise held_by_another(target, copied.id) from None
    except FileExistsError:
        raise TargetError(Reason.TARGET_EXISTS, f"{target} exists", disk=copied.id) from None
    except OSError as error:
        raise TargetError(Reason.TARGET_UNWRITABLE, f"{target}: {error.strerror}", disk=copied.id) from error


def _refuse_foreign(copied: CopiedDisk, path: Path) -> None:
    if not _is_own(copied, path):
        raise TargetError(
            Reason.TARGET_UNWRITABLE,
            f"{path} is another run's file, which took the place of the one that this run had finished",
            hint="Give every run an --output folder of its own, then run again: the disk is copied anew.",
            disk=copied.id,
        )


def _is_own(copied: CopiedDisk, path: Path) -> bool:
    """By the number of the inode alone: that of the file system is another one after it was mounted again."""
    return copied.inode in {None, path.stat().st_ino}


def give_name(written: Path, target: Path) -> None:
    """Rename a file, durably, unless the name is taken: FileExistsError. Raises OSError."""
    _rename(written, target)
    sync_folder(target.parent)


def _rename(written: Path, target: Path) -> None:
    try:
        rename_noreplace(str(written), str(target))
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOSYS, errno.EEXIST}:
            raise
        # NFS cannot rename so. A second link refuses to take a name, too; an interrupted run may have left both.
        if not (target.exists() and target.samefile(written)):
            target.hardlink_to(written)
        written.unlink()
