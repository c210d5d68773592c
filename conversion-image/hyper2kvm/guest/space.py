"""Whether a guest's file systems have room for its edits, before the first one is made."""

import posixpath
from collections.abc import Sequence

from hyper2kvm.guest.description import Mount
from hyper2kvm.guest.edits import Edit, EditKind
from hyper2kvm.guest.files import GuestFiles
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.reasons import Reason

MARGIN = 2 * 1024 * 1024
"""Bytes that stay free for the file system's own use."""

BLOCK = 4096
"""Bytes of the usual allocation unit, which a new file or a longer one takes at least."""


def check(edits: Sequence[Edit], mounts: Sequence[Mount], files: GuestFiles) -> None:
    """Compare what the edits add with what is free. What they remove does not count: it goes in between.

    Raises:
        GuestError: GuestFull, naming the file system with the bytes that it needs and has.
    """
    for mount, needed in growth(edits, mounts, files).items():
        if needed and needed + MARGIN > mount.free:
            raise GuestError(
                Reason.GUEST_FULL,
                f"the guest's {mount.path} ({mount.device}) has {_mebibytes(mount.free)} free and the changes need "
                f"{_mebibytes(needed + MARGIN)}",
                hint=f"Free {_mebibytes(needed + MARGIN - mount.free)} in {mount.path} in the guest and export it again.",
                file=mount.path,
            )


def growth(edits: Sequence[Edit], mounts: Sequence[Mount], files: GuestFiles) -> dict[Mount, int]:
    """Bytes that the edits add to each file system.

    Args:
        edits: what is to be changed.
        mounts: the guest's file systems, the root among them.
        files: the guest before the changes.
    """
    found: dict[Mount, int] = {}
    for edit in edits:
        mount = max((each for each in mounts if _below(edit.path, each.path)), key=lambda each: len(each.path))
        found[mount] = found.get(mount, 0) + _growth(edit, files)
    return found


def _growth(edit: Edit, files: GuestFiles) -> int:
    if edit.kind is EditKind.REMOVE:
        return 0
    before = files.lstat(edit.path)
    had = before.size if before is not None and edit.kind is EditKind.WRITE else 0
    more = max(len(edit.content) - had, 0)
    return -(-more // BLOCK) * BLOCK + (BLOCK if before is None else 0)


def _below(path: str, folder: str) -> bool:
    return f"{path}/".startswith(posixpath.join(folder, ""))


def _mebibytes(count: int) -> str:
    return f"{count / (1 << 20):.1f} MiB"
