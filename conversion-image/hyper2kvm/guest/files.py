"""Files of a guest: the small part of a file system that fixers and inspection use, whoever provides it."""

import fnmatch
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

MAX_FILE = 16 * 1024 * 1024
"""Bytes of the largest file that is read whole: dpkg's status file of a large desktop has about half of that. What may
be larger (an initramfs, a kernel image) is read in parts."""

_WILD = frozenset("*?[")


class FileKind(StrEnum):
    """What a path is."""

    FILE = "File"
    FOLDER = "Folder"
    LINK = "Link"
    OTHER = "Other"


@dataclass(frozen=True)
class FileStat:
    """A path's attributes.

    Attributes:
        kind: what it is.
        mode: permission bits.
        uid: owner.
        gid: group.
        size: bytes.
    """

    kind: FileKind
    mode: int
    uid: int
    gid: int
    size: int


class GuestFiles(Protocol):
    """A guest's file system, for reading. Paths are absolute, and links are resolved inside the guest."""

    def lstat(self, path: str) -> FileStat | None:
        """What the path itself is (a final link is not followed); None when there is nothing."""
        ...

    def stat(self, path: str) -> FileStat | None:
        """What the path leads to; None when there is nothing."""
        ...

    def read(self, path: str) -> bytes:
        """The content of a file. Raises GuestError (GuestFileInvalid) when it is no readable file of up to MAX_FILE."""
        ...

    def part(self, path: str, offset: int, count: int) -> bytes:
        """Bytes of a file of any size, fewer at its end. Raises as `read` does."""
        ...

    def readlink(self, path: str) -> str:
        """What a symbolic link points to, as written."""
        ...

    def list(self, path: str) -> tuple[str, ...]:
        """The names in a folder, sorted; empty when there is no such folder."""
        ...

    def glob(self, pattern: str) -> tuple[str, ...]:
        """The existing paths that match a shell pattern, sorted. `*` does not cross a slash."""
        ...


class WritableGuest(GuestFiles, Protocol):
    """A guest's file system that edits can be applied to. A write that did not happen is an error."""

    def write(self, path: str, content: bytes, mode: int) -> None:
        """Write a whole file. Owner and mode of an existing file stay; a new one is root's, with `mode`."""
        ...

    def append(self, path: str, content: bytes) -> None:
        """Add bytes at the end of an existing file."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file, link or folder with what it holds."""
        ...

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link, in place of what is there."""
        ...


def glob(files: GuestFiles, pattern: str) -> tuple[str, ...]:
    """What `GuestFiles.glob` gives, by way of `lstat` and `list`."""
    found = {""}
    for part in pattern.strip("/").split("/"):
        found = {f"{folder}/{name}" for folder in found for name in _matching(files, folder or "/", part)}
    return tuple(sorted(found))


def first_existing(files: GuestFiles, paths: Iterable[str]) -> str | None:
    """The first of the paths that leads to something, or None."""
    return next((path for path in paths if files.stat(path) is not None), None)


def _matching(files: GuestFiles, folder: str, part: str) -> Iterable[str]:
    if _WILD.isdisjoint(part):
        return (part,) if files.lstat(posixpath.join(folder, part)) is not None else ()
    return fnmatch.filter(files.list(folder), part)
