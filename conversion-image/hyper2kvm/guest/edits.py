"""Edits: what FIX does to a guest, as data. Plan, diff, report and application all use the same ones."""

from dataclasses import dataclass, field
from enum import StrEnum

from hyper2kvm_api.document import Document
from hyper2kvm_api.scalars import Sha256


class EditKind(StrEnum):
    """What an edit does to its path."""

    WRITE = "Write"
    REMOVE = "Remove"
    LINK = "Link"
    APPEND = "Append"


@dataclass(frozen=True)
class Edit:
    """One change of one path, ready to be applied.

    Attributes:
        kind: what is done.
        path: absolute path in the guest.
        reasons: why, a sentence each; several fixers may have contributed.
        content: Write: the whole new content. Append: the bytes to add. Else empty.
        mode: Write of a new file: permission bits.
        target: Link: what the symbolic link points to.
        summary: for content that is no text: what the bytes are.
    """

    kind: EditKind
    path: str
    reasons: tuple[str, ...]
    content: bytes = field(default=b"", repr=False)
    mode: int = 0o644
    target: str | None = None
    summary: str | None = None


class EditRecord(Document):
    """An edit as documents and reports hold it."""

    kind: EditKind
    path: str
    reasons: tuple[str, ...]
    diff: str | None = None
    """Unified diff of text."""
    summary: str | None = None
    """What was done, where there is no diff."""
    before: Sha256 | None = None
    """Digest of the content before; absent for a new file."""
    after: Sha256 | None = None
    """Digest of the content after (of an Append: of the added bytes); absent for a removal."""
    size_before: int | None = None
    """Bytes before; truncating an Append's file to this undoes it."""
