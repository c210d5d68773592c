"""Publishing: a complete, verified target gets its final name, which is never taken from another file."""

import errno
import os
from pathlib import Path

from hyper2kvm.disk.finished import CopiedDisk
from hyper2kvm.disk.syscalls import rename_noreplace
from hyper2kvm.workspace import sync_folder
from hyper2kvm_api.errors import TargetError
from hyper2kvm_api.reasons import Reason


def standing(copied: CopiedDisk) -> Path:
    """Where a copied disk stands: under its provisional name, or published by a run that was interrupted then."""
    written = Path(copied.written)
    return written if written.exists() else Path(copied.target)


def publish(copied: CopiedDisk) -> None:
    """Give a target its final name, durably. Does nothing for block devices, and where it has been done.

    Raises:
        TargetError: TargetExists or TargetUnwritable; the provisional file is still there.
    """
    written, target = Path(copied.written), Path(copied.target)
    if written == target or not os.path.lexists(written):
        return
    try:
        give_name(written, target)
    except FileExistsError:
        raise TargetError(Reason.TARGET_EXISTS, f"{target} exists", disk=copied.id) from None
    except OSError as error:
        raise TargetError(Reason.TARGET_UNWRITABLE, f"{target}: {error.strerror}", disk=copied.id) from error


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
