"""A guest's file system as a folder of this machine: for trees that a package manager made."""

import shutil
import stat
from pathlib import Path

from hyper2kvm.guest import links
from hyper2kvm.guest.files import FileKind, FileStat, glob

KINDS = {stat.S_IFREG: FileKind.FILE, stat.S_IFDIR: FileKind.FOLDER, stat.S_IFLNK: FileKind.LINK}


class FolderGuest:
    """Links are resolved inside the folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def lstat(self, path: str) -> FileStat | None:
        return self._stat(self._resolve(path, last=False))

    def stat(self, path: str) -> FileStat | None:
        return self._stat(self._resolve(path))

    def read(self, path: str) -> bytes:
        return self._host(self._resolve(path)).read_bytes()

    def part(self, path: str, offset: int, count: int) -> bytes:
        with self._host(self._resolve(path)).open("rb") as file:
            file.seek(offset)
            return file.read(count)

    def readlink(self, path: str) -> str:
        return str(self._host(self._resolve(path, last=False)).readlink())

    def list(self, path: str) -> tuple[str, ...]:
        folder = self._host(self._resolve(path))
        return tuple(sorted(each.name for each in folder.iterdir())) if folder.is_dir() else ()

    def glob(self, pattern: str) -> tuple[str, ...]:
        return glob(self, pattern)

    def write(self, path: str, content: bytes, mode: int) -> None:
        host = self._host(self._resolve(path))
        host.parent.mkdir(parents=True, exist_ok=True)
        new = not host.exists()
        host.write_bytes(content)
        if new:
            host.chmod(mode)

    def append(self, path: str, content: bytes) -> None:
        with self._host(self._resolve(path)).open("ab") as handle:
            handle.write(content)

    def remove(self, path: str) -> None:
        host = self._host(self._resolve(path, last=False))
        if host.is_dir() and not host.is_symlink():
            shutil.rmtree(host)
        else:
            host.unlink()

    def link(self, path: str, target: str) -> None:
        host = self._host(self._resolve(path, last=False))
        host.unlink(missing_ok=True)
        host.parent.mkdir(parents=True, exist_ok=True)
        host.symlink_to(target)

    def _host(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def _stat(self, path: str) -> FileStat | None:
        try:
            found = self._host(path).lstat()
        except OSError:
            return None
        kind = KINDS.get(stat.S_IFMT(found.st_mode), FileKind.OTHER)
        return FileStat(kind, stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, found.st_size)

    def _resolve(self, path: str, *, last: bool = True) -> str:
        return links.resolve(path, self._target, last=last)

    def _target(self, path: str) -> str | None:
        host = self._host(path)
        return str(host.readlink()) if host.is_symlink() else None
