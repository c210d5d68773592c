"""Edits as documents and reports hold them: with diffs, from which what a guest keeps secret is left out."""

import difflib
import hashlib
import re
from collections.abc import Iterable

from hyper2kvm.guest.edits import Edit, EditKind, EditRecord
from hyper2kvm.guest.files import MAX_FILE, FileKind, FileStat, GuestFiles

CONTEXT = 3
"""Unchanged lines that a diff shows around changed ones, of files that every user of the guest may read."""

REDACTED = "(redacted)"

_EVERYBODY_READS = 0o004
_SECRET = re.compile(
    r"(?P<key>(?:psk|passw(?:or)?d|passphrase|secret|token|credential|pbkdf2|\bpin\b|"
    r"(?:private|preshared|auth|access|api|wep)[-_.]?key)[\w.-]{0,40}[\"']?)(?P<between>\s{0,8}[:=\s]\s{0,8})\S.*",
    re.IGNORECASE,
)
"""What keys of secrets are called in NetworkManager's keyfiles, netplan, wpa_supplicant, ifupdown, GRUB, the options of
mounts, and their like."""


def describe(edits: Iterable[Edit], files: GuestFiles) -> tuple[EditRecord, ...]:
    """What edits change in a guest, as documents hold it.

    Args:
        edits: the changes.
        files: the guest before them.
    """
    return tuple(_record(edit, files) for edit in edits)


def unified(path: str, before: bytes | None, after: bytes, context: int = CONTEXT) -> str | None:
    """The unified diff of a text file's contents, or None when one is no text. Values of secret keys are redacted.

    Args:
        path: the file.
        before: its content before; None for a new file.
        after: its content after.
        context: unchanged lines that are shown around changed ones.
    """
    if b"\0" in (before or b"") or b"\0" in after:
        return None
    old = (before or b"").decode("utf-8", "replace").splitlines(keepends=True)
    new = after.decode("utf-8", "replace").splitlines(keepends=True)
    lines = difflib.unified_diff(old, new, "/dev/null" if before is None else f"a{path}", f"b{path}", n=context)
    return "".join(_shown(line) for line in lines)


def redacted(line: str) -> str:
    """A line without the value of a key that holds a secret."""
    return _SECRET.sub(rf"\g<key>\g<between>{REDACTED}", line)


def _shown(line: str) -> str:
    text = redacted(line.removesuffix("\n"))
    return f"{text}\n" if line.endswith("\n") else f"{text}\n\\ No newline at end of file\n"


def _record(edit: Edit, files: GuestFiles) -> EditRecord:
    found = files.lstat(edit.path)
    was_file = found is not None and found.kind is FileKind.FILE
    before = files.read(edit.path) if found and _is_compared(edit, found) else None
    after = edit.content if edit.kind in {EditKind.WRITE, EditKind.APPEND} else None
    diff = None
    if edit.kind is EditKind.WRITE and edit.summary is None:
        mode = found.mode if found and was_file else edit.mode
        diff = unified(edit.path, before, edit.content, CONTEXT if mode & _EVERYBODY_READS else 0)
    summary = edit.summary
    if summary is None and diff is None:
        summary = _summary(edit, found)
    return EditRecord(
        kind=edit.kind,
        path=edit.path,
        reasons=edit.reasons,
        diff=diff,
        summary=summary,
        before=hashlib.sha256(before).hexdigest() if before is not None else None,
        after=hashlib.sha256(after).hexdigest() if after is not None else None,
        size_before=found.size if found is not None and was_file else None,
    )


def _is_compared(edit: Edit, found: FileStat) -> bool:
    """Whether the content before is read: not what an Append leaves as it is, and no log of gigabytes that goes."""
    return found.kind is FileKind.FILE and edit.kind is not EditKind.APPEND and found.size <= MAX_FILE


def _summary(edit: Edit, found: FileStat | None) -> str:
    if edit.kind is EditKind.LINK:
        return f"link to {edit.target}"
    if edit.kind is EditKind.REMOVE:
        return "link removed" if found and found.kind is FileKind.LINK else "removed"
    return f"{len(edit.content)} bytes"
