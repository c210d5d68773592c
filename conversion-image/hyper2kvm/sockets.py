"""Folders for Unix sockets, whose paths end at 107 bytes (unix(7)), which a workspace's path may exceed."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hyper2kvm.workspace import host_errors

_PREFIX = "h2k-"
_RECORD = "sockets."
_PROCESS = secrets.token_hex(4)
"""Tells this process from those that were killed: process ids repeat, above all in containers."""


@contextmanager
def socket_folder(scratch: Path) -> Iterator[Path]:
    """A new folder in the machine's own temporary one, for the length of a block.

    A link in `scratch` says where it is, so that what a killed run left is removed by the next one. The caller holds the
    workspace's lock.

    Raises:
        HostError: WorkspaceFull or WorkspaceUnusable.
    """
    with host_errors(scratch):
        _remove_left(scratch)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    record = scratch / f"{_RECORD}{_PROCESS}.{folder.name}"
    try:
        with host_errors(scratch):
            record.symlink_to(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        record.unlink(missing_ok=True)


def _remove_left(scratch: Path) -> None:
    for record in scratch.glob(f"{_RECORD}*"):
        if record.name.startswith(f"{_RECORD}{_PROCESS}.") or not record.is_symlink():
            continue
        folder = record.readlink()
        # Only what this module makes is removed: the workspace may be writable for others.
        if folder.parent == Path(tempfile.gettempdir()) and folder.name.startswith(_PREFIX) and _is_ours(folder):
            shutil.rmtree(folder, ignore_errors=True)
        record.unlink(missing_ok=True)


def _is_ours(folder: Path) -> bool:
    try:
        return folder.lstat().st_uid == os.geteuid()
    except OSError:
        return False
