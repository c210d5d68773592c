"""Draft: a guest's files with planned changes on top. Fixers read and write it; nothing reaches the guest.

Several fixers may change one file: each sees what the ones before it planned, and one edit with all the reasons
comes out. Whatever links a path leads through, its change is known by the place that they lead to.
"""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field

from hyper2kvm.guest import links
from hyper2kvm.guest.edits import Edit, EditKind
from hyper2kvm.guest.files import FileKind, FileStat, GuestFiles, glob


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
        """Record, once, something that the user should know; `reason` is a CamelCase word."""
        finding = Finding(reason, message, hint)
        if finding not in self.findings:
            self.findings.append(finding)

    def write(self, path: str, content: bytes | str, *reasons: str, mode: int = 0o644) -> None:
        """Plan a file's whole content, with a sentence for each of its reasons.

        Links to a file are followed: what they lead to is written. Nothing is planned when the file already has that
        content. In a text, surrogates stand for bytes that are not UTF-8, as `text` gives them.
        """
        data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
        real = self.resolve(path)
        if self.is_file(real) and self.read(real) == data:
            return
        self._change(real, EditKind.WRITE, *reasons, content=data, mode=mode)

    def append(self, path: str, content: bytes, reason: str, summary: str) -> None:
        """Plan bytes at the end of an existing file. Such a file takes no other change."""
        real = self.resolve(path)
        if real in self._changes:
            raise ValueError(f"{real} is changed twice")
        self._change(real, EditKind.APPEND, reason, content=content, summary=summary)

    def copy(self, source: str, path: str, reason: str) -> None:
        """Plan a copy of a file."""
        self.write(path, self.read(source), reason)
        change = self._changes.get(self.resolve(path))
        if change is not None:
            change.summary = f"copy of {source}"

    def remove(self, path: str, reason: str) -> None:
        """Plan the removal of a path itself (a link is not followed) with what it holds; no change when absent."""
        if self.lstat(path) is not None:
            self._change(self.place(path), EditKind.REMOVE, reason)

    def link(self, path: str, target: str, reason: str) -> None:
        """Plan a symbolic link, in place of what is there."""
        found = self.lstat(path)
        if found is not None and found.kind is FileKind.LINK and self.readlink(path) == target:
            return
        self._change(self.place(path), EditKind.LINK, reason, target=target)

    def lstat(self, path: str) -> FileStat | None:
        """See GuestFiles."""
        return self._lstat(self.place(path))

    def stat(self, path: str) -> FileStat | None:
        """See GuestFiles."""
        found = self._lstat(self.resolve(path))
        return None if found is None or found.kind is FileKind.LINK else found

    def read(self, path: str) -> bytes:
        """See GuestFiles."""
        real = self.resolve(path)
        change = self._changes.get(real)
        if change is None:
            return self._files.read(real)
        return change.content if change.kind is EditKind.WRITE else self._files.read(real) + change.content

    def part(self, path: str, offset: int, count: int) -> bytes:
        """See GuestFiles."""
        real = self.resolve(path)
        change = self._changes.get(real)
        if change is None:
            return self._files.part(real, offset, count)
        if change.kind is EditKind.WRITE:
            return change.content[offset : offset + count]
        before = self._files.lstat(real)
        behind = offset - (before.size if before else 0)
        return self._files.part(real, offset, count) + change.content[max(behind, 0) : max(behind + count, 0)]

    def text(self, path: str) -> str:
        """A file's content as text; bytes that are not UTF-8 survive a round trip through `write`."""
        return self.read(path).decode("utf-8", "surrogateescape")

    def readlink(self, path: str) -> str:
        """See GuestFiles."""
        return self._readlink(self.place(path))

    def list(self, path: str) -> tuple[str, ...]:
        """See GuestFiles."""
        folder = self.resolve(path)
        names = set() if self._gone(folder) else set(self._files.list(folder))
        below = posixpath.join(folder, "")
        for changed, change in self._changes.items():
            if not changed.startswith(below):
                continue
            name, deeper, _ = changed.removeprefix(below).partition("/")
            if change.kind is not EditKind.REMOVE:
                names.add(name)
            elif not deeper:
                names.discard(name)
        return tuple(sorted(names))

    def glob(self, pattern: str) -> tuple[str, ...]:
        """See GuestFiles."""
        return glob(self, pattern)

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
        """The path with every link in it followed, inside the guest."""
        return links.resolve(path, self._target)

    def place(self, path: str) -> str:
        """The path with links followed in its folders, not in its last part: /lib is often a link to /usr/lib."""
        return links.resolve(path, self._target, last=False)

    def edits(self) -> tuple[Edit, ...]:
        """The planned changes, in the order in which their paths were first touched."""
        return tuple(
            Edit(c.kind, path, tuple(c.reasons), c.content, c.mode, c.target, c.summary)
            for path, c in self._changes.items()
        )

    def _lstat(self, place: str) -> FileStat | None:
        """Attributes of a path without links in its folders."""
        change = self._changes.get(place)
        if change is None:
            return self._kept(place)
        if change.kind is EditKind.REMOVE:
            return None
        if change.kind is EditKind.LINK:
            return FileStat(FileKind.LINK, 0o777, 0, 0, len(change.target or ""))
        below = self._files.lstat(place) or FileStat(FileKind.FILE, change.mode, 0, 0, 0)
        size = below.size + len(change.content) if change.kind is EditKind.APPEND else len(change.content)
        return FileStat(FileKind.FILE, below.mode, below.uid, below.gid, size)

    def _kept(self, place: str) -> FileStat | None:
        """Attributes of a path that no change names: those that the guest has, or a folder that a change needs."""
        found = None if self._gone(place) else self._files.lstat(place)
        needed = found is None and any(
            change.kind is not EditKind.REMOVE and changed.startswith(f"{place}/")
            for changed, change in self._changes.items()
        )
        return FileStat(FileKind.FOLDER, 0o755, 0, 0, 0) if needed else found

    def _target(self, place: str) -> str | None:
        """The target of a link at a path without links in its folders; None for what is none."""
        found = self._lstat(place)
        return self._readlink(place) if found is not None and found.kind is FileKind.LINK else None

    def _readlink(self, place: str) -> str:
        change = self._changes.get(place)
        return change.target if change is not None and change.target is not None else self._files.readlink(place)

    def _gone(self, path: str) -> bool:
        return any(
            folder in self._changes and self._changes[folder].kind is EditKind.REMOVE for folder in _ancestors(path)
        )

    def _change(
        self,
        path: str,
        kind: EditKind,
        *more: str,
        content: bytes = b"",
        mode: int = 0o644,
        target: str | None = None,
        summary: str | None = None,
    ) -> None:
        before = self._changes.get(path)
        reasons = list(dict.fromkeys([*(before.reasons if before else ()), *more]))
        self._changes[path] = _Change(kind, reasons, content, mode, target, summary)


def _ancestors(path: str) -> Iterator[str]:
    while path not in {"/", ""}:
        yield path
        path = posixpath.dirname(path)
