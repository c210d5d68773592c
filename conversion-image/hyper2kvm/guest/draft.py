"""Draft: a guest's files with planned changes on top. Fixers read and write it; nothing reaches the guest.

Several fixers may change one file: each sees what the ones before it planned, and one edit with all the reasons
comes out.
"""

import difflib
import fnmatch
import hashlib
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field

from hyper2kvm.guest.edits import Edit, EditKind, EditRecord
from hyper2kvm.guest.files import FileKind, FileStat, GuestFiles


@dataclass(frozen=True)
class Finding:
    """Something that a fixer wants the user to know and that does not stop the migration."""

    reason: str
    message: str
    hint: str


@dataclass
class _Change:
    kind: EditKind
    reasons: list[str]
    content: bytes = field(default=b"", repr=False)
    mode: int = 0o644
    target: str | None = None
    summary: str | None = None


class Draft(GuestFiles):
    """Planned changes over a guest's files. Reading shows the files as they will be."""

    def __init__(self, files: GuestFiles) -> None:
        self._files = files
        self._changes: dict[str, _Change] = {}
        self.notes: list[str] = []
        self.findings: list[Finding] = []

    def note(self, text: str) -> None:
        """Record, in a sentence, what was looked at and needs no change."""
        self.notes.append(text)

    def warn(self, reason: str, message: str, hint: str) -> None:
        """Record something that the user should know; `reason` is a CamelCase word."""
        self.findings.append(Finding(reason, message, hint))

    def write(self, path: str, content: bytes | str, reason: str, *, mode: int = 0o644) -> None:
        """Plan a file's whole content. Links to a file are followed: what they lead to is written.

        Nothing is planned when the file already has that content.
        """
        data = content.encode() if isinstance(content, str) else content
        real = self.resolve(path)
        if self.is_file(real) and self.read(real) == data:
            return
        self._change(real, EditKind.WRITE, reason, content=data, mode=mode)

    def append(self, path: str, content: bytes, reason: str, summary: str) -> None:
        """Plan bytes at the end of an existing file. Such a file takes no other change."""
        real = self.resolve(path)
        if real in self._changes:
            raise ValueError(f"{real} is changed twice")
        self._change(real, EditKind.APPEND, reason, content=content, summary=summary)

    def copy(self, source: str, path: str, reason: str) -> None:
        """Plan a copy of a file."""
        self.write(path, self.read(source), reason)
        if path in self._changes:
            self._changes[path].summary = f"copy of {source}"

    def remove(self, path: str, reason: str) -> None:
        """Plan the removal of a path itself (a link is not followed) with what it holds; no change when absent."""
        if self.lstat(path) is not None:
            self._change(path, EditKind.REMOVE, reason)

    def link(self, path: str, target: str, reason: str) -> None:
        """Plan a symbolic link, in place of what is there."""
        found = self.lstat(path)
        if found is not None and found.kind is FileKind.LINK and self.readlink(path) == target:
            return
        self._change(path, EditKind.LINK, reason, target=target)

    def lstat(self, path: str) -> FileStat | None:
        """See GuestFiles."""
        change = self._changes.get(path)
        if change is None:
            return None if self._gone(path) else self._files.lstat(path)
        if change.kind is EditKind.REMOVE:
            return None
        if change.kind is EditKind.LINK:
            return FileStat(FileKind.LINK, 0o777, 0, 0, len(change.target or ""))
        below = self._files.lstat(path) or FileStat(FileKind.FILE, change.mode, 0, 0, 0)
        size = below.size + len(change.content) if change.kind is EditKind.APPEND else len(change.content)
        return FileStat(FileKind.FILE, below.mode, below.uid, below.gid, size)

    def stat(self, path: str) -> FileStat | None:
        """See GuestFiles."""
        return self.lstat(self.resolve(path))

    def read(self, path: str) -> bytes:
        """See GuestFiles."""
        real = self.resolve(path)
        change = self._changes.get(real)
        if change is not None and change.kind is EditKind.WRITE:
            return change.content
        return self._files.read(real)

    def text(self, path: str) -> str:
        """A file's content as text; bytes that are not UTF-8 survive a round trip through `write`'s caller."""
        return self.read(path).decode("utf-8", "surrogateescape")

    def readlink(self, path: str) -> str:
        """See GuestFiles."""
        change = self._changes.get(path)
        return change.target if change is not None and change.target is not None else self._files.readlink(path)

    def list(self, path: str) -> tuple[str, ...]:
        """See GuestFiles."""
        folder = self.resolve(path)
        names = set() if self._gone(folder) else set(self._files.list(folder))
        for changed, change in self._changes.items():
            if posixpath.dirname(changed) == folder:
                (names.discard if change.kind is EditKind.REMOVE else names.add)(posixpath.basename(changed))
        return tuple(sorted(names))

    def glob(self, pattern: str) -> tuple[str, ...]:
        """See GuestFiles."""
        found = {path for path in self._files.glob(pattern) if self.lstat(path) is not None}
        for path in self._changes:
            matches = path.count("/") == pattern.count("/") and all(
                fnmatch.fnmatchcase(part, wanted)
                for part, wanted in zip(path.split("/"), pattern.split("/"), strict=True)
            )
            if matches and self.lstat(path) is not None:
                found.add(path)
        return tuple(sorted(found))

    def exists(self, path: str) -> bool:
        """Whether the path leads to anything."""
        return self.stat(path) is not None

    def is_file(self, path: str) -> bool:
        """Whether the path leads to a plain file."""
        found = self.stat(path)
        return found is not None and found.kind is FileKind.FILE

    def is_folder(self, path: str) -> bool:
        """Whether the path leads to a folder."""
        found = self.stat(path)
        return found is not None and found.kind is FileKind.FOLDER

    def resolve(self, path: str) -> str:
        """The path with every link in it followed, inside the guest; at most 40 links, as the kernel allows."""
        done, rest, links = "/", [part for part in path.split("/") if part not in {"", "."}], 0
        while rest:
            part = rest.pop(0)
            if part == "..":
                done = posixpath.dirname(done)
                continue
            here = posixpath.join(done, part)
            found = self.lstat(here)
            if found is None or found.kind is not FileKind.LINK or links >= 40:
                done = here
                continue
            links += 1
            target = self.readlink(here)
            rest = [piece for piece in target.split("/") if piece not in {"", "."}] + rest
            done = "/" if target.startswith("/") else done
        return done

    def edits(self) -> tuple[Edit, ...]:
        """The planned changes, in the order in which their paths were first touched."""
        return tuple(
            Edit(c.kind, path, tuple(c.reasons), c.content, c.mode, c.target, c.summary)
            for path, c in self._changes.items()
        )

    def records(self) -> tuple[EditRecord, ...]:
        """The planned changes as documents and reports hold them, with diffs."""
        return tuple(self._record(edit) for edit in self.edits())

    def _gone(self, path: str) -> bool:
        return any(
            folder in self._changes and self._changes[folder].kind is EditKind.REMOVE for folder in _ancestors(path)
        )

    def _change(
        self,
        path: str,
        kind: EditKind,
        reason: str,
        *,
        content: bytes = b"",
        mode: int = 0o644,
        target: str | None = None,
        summary: str | None = None,
    ) -> None:
        before = self._changes.get(path)
        reasons = [*before.reasons] if before else []
        if reason not in reasons:
            reasons.append(reason)
        self._changes[path] = _Change(kind, reasons, content, mode, target, summary)

    def _record(self, edit: Edit) -> EditRecord:
        found = self._files.lstat(edit.path)
        was_file = found is not None and found.kind is FileKind.FILE
        before = self._files.read(edit.path) if was_file and edit.kind is not EditKind.APPEND else None
        after = edit.content if edit.kind in {EditKind.WRITE, EditKind.APPEND} else None
        diff = None
        if edit.kind is EditKind.WRITE and edit.summary is None:
            diff = unified(edit.path, before, edit.content)
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


def unified(path: str, before: bytes | None, after: bytes) -> str | None:
    """The unified diff of a text file's contents (`before` None: a new file), or None when one is no text."""
    if b"\0" in (before or b"") or b"\0" in after:
        return None
    old = (before or b"").decode("utf-8", "replace").splitlines(keepends=True)
    new = after.decode("utf-8", "replace").splitlines(keepends=True)
    lines = difflib.unified_diff(old, new, "/dev/null" if before is None else f"a{path}", f"b{path}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _ancestors(path: str) -> Iterator[str]:
    while path not in {"/", ""}:
        yield path
        path = posixpath.dirname(path)


def _summary(edit: Edit, found: FileStat | None) -> str:
    if edit.kind is EditKind.LINK:
        return f"link to {edit.target}"
    if edit.kind is EditKind.REMOVE:
        return "link removed" if found and found.kind is FileKind.LINK else "removed"
    return f"{len(edit.content)} bytes"
