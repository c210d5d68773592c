"""A guest's file system in memory, for tests: files, links and folders by path."""

import posixpath
from collections.abc import Iterable, Mapping

from hyper2kvm.guest.files import FileKind, FileStat, glob
from hyper2kvm.guest.links import resolve
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.reasons import Reason


class MemoryGuest:
    """A WritableGuest. Folders above what is given need not be named.

    Attributes:
        content: files' bytes by path, for assertions; no path in it leads through a link.
        stats: what each path is.
        targets: links' targets by path.
    """

    def __init__(
        self,
        files: Mapping[str, bytes | str] | None = None,
        links: Mapping[str, str] | None = None,
        folders: Iterable[str] = (),
        modes: Mapping[str, int] | None = None,
    ) -> None:
        self.content: dict[str, bytes] = {}
        self.stats: dict[str, FileStat] = {"/": FileStat(FileKind.FOLDER, 0o755, 0, 0, 0)}
        self.targets: dict[str, str] = {}
        for path, target in (links or {}).items():
            self.link(path, target)
        for path in folders:
            self._folders(self.resolve(path))
        for path, content in (files or {}).items():
            data = content.encode() if isinstance(content, str) else content
            self.write(path, data, (modes or {}).get(path, 0o644))

    def lstat(self, path: str) -> FileStat | None:
        return self.stats.get(self.resolve(path, last=False))

    def stat(self, path: str) -> FileStat | None:
        found = self.stats.get(self.resolve(path))
        return None if found is not None and found.kind is FileKind.LINK else found

    def read(self, path: str) -> bytes:
        content = self.content.get(self.resolve(path))
        if content is None:
            raise GuestError(Reason.GUEST_FILE_INVALID, f"{path} is no readable file", file=path)
        return content

    def part(self, path: str, offset: int, count: int) -> bytes:
        return self.read(path)[offset : offset + count]

    def readlink(self, path: str) -> str:
        return self.targets[self.resolve(path, last=False)]

    def list(self, path: str) -> tuple[str, ...]:
        folder = self.resolve(path)
        return tuple(sorted(posixpath.basename(p) for p in self.stats if p != "/" and posixpath.dirname(p) == folder))

    def glob(self, pattern: str) -> tuple[str, ...]:
        return glob(self, pattern)

    def write(self, path: str, content: bytes, mode: int) -> None:
        real = self.resolve(path)
        found = self.stats.get(real)
        if found is not None and found.kind is not FileKind.FILE:
            raise GuestError(Reason.EDIT_FAILED, f"{path} is no file", file=path)
        self._folders(posixpath.dirname(real))
        kept = (found.mode, found.uid, found.gid) if found else (mode, 0, 0)
        self.content[real] = content
        self.stats[real] = FileStat(FileKind.FILE, *kept, len(content))

    def append(self, path: str, content: bytes) -> None:
        self.write(path, self.read(path) + content, 0)

    def remove(self, path: str) -> None:
        real = self.resolve(path, last=False)
        for gone in [p for p in self.stats if p == real or p.startswith(f"{real}/")]:
            for held in (self.content, self.stats, self.targets):
                held.pop(gone, None)

    def link(self, path: str, target: str) -> None:
        self.remove(path)
        real = self.resolve(path, last=False)
        self._folders(posixpath.dirname(real))
        self.targets[real] = target
        self.stats[real] = FileStat(FileKind.LINK, 0o777, 0, 0, len(target))

    def resolve(self, path: str, *, last: bool = True) -> str:
        return resolve(path, self.targets.get, last=last)

    def _folders(self, path: str) -> None:
        while path not in self.stats:
            self.stats[path] = FileStat(FileKind.FOLDER, 0o755, 0, 0, 0)
            path = posixpath.dirname(path)
