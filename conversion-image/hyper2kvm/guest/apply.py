"""Applies edits to a guest, and finds out whether they are there."""

from collections.abc import Sequence

from hyper2kvm.guest.edits import Edit, EditKind
from hyper2kvm.guest.files import FileKind, GuestFiles, WritableGuest
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.reasons import Reason


def apply(edits: Sequence[Edit], guest: WritableGuest) -> None:
    """Make the changes, in order.

    Raises:
        GuestError: EditFailed or GuestFull, naming the file. What came before it is done: the guest is to be thrown away.
    """
    for edit in edits:
        match edit.kind:
            case EditKind.WRITE:
                guest.write(edit.path, edit.content, edit.mode)
            case EditKind.APPEND:
                guest.append(edit.path, edit.content)
            case EditKind.REMOVE:
                guest.remove(edit.path)
            case EditKind.LINK:
                guest.link(edit.path, edit.target or "")


def verify(edits: Sequence[Edit], files: GuestFiles) -> None:
    """Check that a guest holds what the edits say.

    Raises:
        GuestError: EditFailed, naming the first file that does not.
    """
    for number, edit in enumerate(edits):
        again = any(later.path.startswith(f"{edit.path}/") for later in edits[number + 1 :])
        if not again and not _holds(edit, files):
            raise GuestError(
                Reason.EDIT_FAILED,
                f"{edit.path} was changed, and the disk does not hold the change",
                hint="Check the storage under the workspace; if it is sound, run fsck in the guest and export it again.",
                file=edit.path,
            )


def _holds(edit: Edit, files: GuestFiles) -> bool:
    found = files.lstat(edit.path)
    if edit.kind is EditKind.REMOVE or found is None:
        return edit.kind is EditKind.REMOVE and found is None
    if edit.kind is EditKind.LINK:
        return found.kind is FileKind.LINK and files.readlink(edit.path) == edit.target
    if found.kind is not FileKind.FILE:
        return False
    # Of what was appended to a file, only that is read again: an initramfs may have hundreds of megabytes.
    start = found.size - len(edit.content) if edit.kind is EditKind.APPEND else 0
    whole = edit.kind is EditKind.APPEND or found.size == len(edit.content)
    return whole and start >= 0 and files.part(edit.path, start, len(edit.content)) == edit.content
