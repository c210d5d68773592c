"""Files of a guest: the small part of a file system that fixers and inspection use, whoever provides it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


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
        """The content of a file. Raises GuestError (GuestFileInvalid) when it is no readable file."""
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


def first_existing(files: GuestFiles, paths: Iterable[str]) -> str | None:
    """The first of the paths that leads to something, or None."""
    return next((path for path in paths if files.stat(path) is not None), None)
