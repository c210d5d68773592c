"""Plain files by pattern: what a careful reader of a configuration folder looks at."""

from collections.abc import Iterator

from hyper2kvm.guest.files import FileKind, GuestFiles

MAX_FILES = 256
"""Files that one pattern may give; no configuration folder has as many."""


def is_file(files: GuestFiles, path: str) -> bool:
    """Whether the path leads to a plain file, and to no folder, device or nothing."""
    found = files.stat(path)
    return found is not None and found.kind is FileKind.FILE


def matching(files: GuestFiles, pattern: str) -> list[str]:
    """The plain files that match a shell pattern, sorted."""
    return [path for path in files.glob(pattern)[:MAX_FILES] if is_file(files, path)]


def text(files: GuestFiles, path: str) -> str:
    """A file's content; bytes that are not UTF-8 come out again when it is encoded with `surrogateescape`."""
    return files.read(path).decode("utf-8", "surrogateescape")


def texts(files: GuestFiles, pattern: str) -> Iterator[tuple[str, str]]:
    """Path and content of the plain files that match a shell pattern."""
    return ((path, text(files, path)) for path in matching(files, pattern))
