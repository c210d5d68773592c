"""A guest's files, as the appliance has them mounted.

Links are resolved here and not by the appliance: some of libguestfs' calls run programs of the appliance, to which
an absolute link of the guest would lead into the appliance's own files.
"""

import posixpath
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hyper2kvm.guest.files import MAX_FILE, FileKind, FileStat, WritableGuest, glob
from hyper2kvm.guest.handle import MESSAGE, Handle, guarded
from hyper2kvm.guest.links import resolve
from hyper2kvm_api.errors import GuestError, Hyper2kvmError
from hyper2kvm_api.reasons import Reason

MAX_NAMES = 16 * 1024 * 1024
"""Bytes of the names in the largest folder that is listed."""

_KINDS = {stat.S_IFREG: FileKind.FILE, stat.S_IFDIR: FileKind.FOLDER, stat.S_IFLNK: FileKind.LINK}
_ROOT = FileStat(FileKind.FOLDER, 0o755, 0, 0, 0)
_NO_SPACE = ("No space left on device", "Disk quota exceeded")
_IMMUTABLE = "Operation not permitted"


class ApplianceFiles(WritableGuest):
    """What it has looked at it remembers until it changes something. Names that are no UTF-8 are left out."""

    def __init__(self, handle: Handle) -> None:
        """The handle's guest is mounted, or will be before the first look."""
        self._handle = handle
        self._stats: dict[str, FileStat | None] = {}
        self._targets: dict[str, str] = {}
        self._names: dict[str, tuple[str, ...]] = {}

    def forget(self) -> None:
        """Look anew: something else is mounted, or has changed."""
        for known in (self._stats, self._targets, self._names):
            known.clear()

    def lstat(self, path: str) -> FileStat | None:
        """See GuestFiles."""
        return self._lstat(self._real(path, last=False))

    def stat(self, path: str) -> FileStat | None:
        """See GuestFiles."""
        found = self._lstat(self._real(path))
        return None if found is None or found.kind is FileKind.LINK else found

    def read(self, path: str) -> bytes:
        """See GuestFiles."""
        real, found = self._plain_file(path)
        if found.size > MAX_FILE:
            raise _unreadable(path, f"it has {found.size} bytes, more than the {MAX_FILE} that are read")
        with guarded(self._handle, lambda words: _unreadable(path, words)):
            return b"".join(self._pieces(real, 0, found.size))

    def part(self, path: str, offset: int, count: int) -> bytes:
        """See GuestFiles."""
        real, found = self._plain_file(path)
        with guarded(self._handle, lambda words: _unreadable(path, words)):
            return b"".join(self._pieces(real, offset, min(count, found.size - offset)))

    def readlink(self, path: str) -> str:
        """See GuestFiles."""
        target = self._target(self._real(path, last=False))
        if target is None:
            raise _unreadable(path, "it is no symbolic link")
        return target

    def list(self, path: str) -> tuple[str, ...]:
        """See GuestFiles."""
        real = self._real(path)
        found = self._lstat(real)
        if found is None or found.kind is not FileKind.FOLDER:
            return ()
        if real not in self._names:
            self._names[real] = self._listed(real)
        return self._names[real]

    def glob(self, pattern: str) -> tuple[str, ...]:
        """See GuestFiles."""
        return glob(self, pattern)

    def write(self, path: str, content: bytes, mode: int) -> None:
        """See WritableGuest. The file keeps its inode, and with it its attributes and other names."""
        real = self._real(path)
        found = self._lstat(real)
        if found is not None and found.kind is not FileKind.FILE:
            raise _failed(path, "it is no file")
        with guarded(self._handle, lambda words: _failed(path, words)):
            if found is None:
                self._handle.mkdir_p(posixpath.dirname(real))
            self._handle.write(real, content[:MESSAGE])
            self._continue(real, content, MESSAGE, 0)
            if found is None:
                self._handle.chmod(mode, real)
        self.forget()
        self._check(path, self.read(real) == content)

    def append(self, path: str, content: bytes) -> None:
        """See WritableGuest."""
        real = self._real(path)
        found = self._lstat(real)
        if found is None or found.kind is not FileKind.FILE:
            raise _failed(path, "it is no file" if found else "there is no such file")
        with guarded(self._handle, lambda words: _failed(path, words)):
            self._continue(real, content, 0, found.size)
            self.forget()
            added = b"".join(self._pieces(real, found.size, len(content)))
        now = self._lstat(real)
        self._check(path, now is not None and now.size == found.size + len(content) and added == content)

    def remove(self, path: str) -> None:
        """See WritableGuest."""
        real = self._real(path, last=False)
        found = self._lstat(real)
        if found is None:
            return
        with guarded(self._handle, lambda words: _failed(path, words)):
            (self._handle.rm_rf if found.kind is FileKind.FOLDER else self._handle.rm)(real)
        self.forget()
        self._check(path, self._lstat(real) is None)

    def link(self, path: str, target: str) -> None:
        """See WritableGuest."""
        self.remove(path)
        real = self._real(path, last=False)
        with guarded(self._handle, lambda words: _failed(path, words)):
            self._handle.mkdir_p(posixpath.dirname(real))
            self._handle.ln_s(target, real)
        self.forget()
        self._check(path, self._target(real) == target)

    def _plain_file(self, path: str) -> tuple[str, FileStat]:
        real = self._real(path)
        found = self._lstat(real)
        if found is None or found.kind is not FileKind.FILE:
            raise _unreadable(path, "it is no file" if found else "there is no such file")
        return real, found

    def _real(self, path: str, *, last: bool = True) -> str:
        return resolve(path, self._target, last=last)

    def _lstat(self, real: str) -> FileStat | None:
        """Attributes of a path without links in its folders."""
        if real == "/":
            return _ROOT
        if real not in self._stats:
            folder = self._lstat(posixpath.dirname(real))
            inside = folder is not None and folder.kind is FileKind.FOLDER
            self._stats[real] = self._looked_up(real) if inside else None
        return self._stats[real]

    def _looked_up(self, real: str) -> FileStat | None:
        folder, name = posixpath.split(real)
        with guarded(self._handle, lambda words: _unreadable(real, words)):
            (found,) = self._handle.lstatnslist(folder, [name])
        if found["st_ino"] == -1:
            return None
        mode = found["st_mode"]
        kind = _KINDS.get(stat.S_IFMT(mode), FileKind.OTHER)
        return FileStat(kind, stat.S_IMODE(mode), found["st_uid"], found["st_gid"], found["st_size"])

    def _target(self, real: str) -> str | None:
        found = self._lstat(real)
        if found is None or found.kind is not FileKind.LINK:
            return None
        if real not in self._targets:
            try:
                with guarded(self._handle, lambda words: _unreadable(real, words)):
                    self._targets[real] = self._handle.readlink(real)
            except UnicodeDecodeError:
                raise _unreadable(real, "the link's target is no UTF-8") from None
        return self._targets[real]

    def _listed(self, real: str) -> tuple[str, ...]:
        with tempfile.TemporaryDirectory(prefix="h2k-") as scratch:
            names = Path(scratch, "names")
            with guarded(self._handle, lambda words: _unreadable(real, words)):
                self._handle.ls0(real, str(names))
            if names.stat().st_size > MAX_NAMES:
                raise _unreadable(real, f"its names have more than {MAX_NAMES} bytes")
            return tuple(sorted(_texts(names.read_bytes())))

    def _pieces(self, real: str, start: int, count: int) -> Iterator[bytes]:
        end = start + count
        while start < end:
            piece = self._handle.pread(real, min(MESSAGE, end - start), start)
            if not piece:
                return
            start += len(piece)
            yield piece

    def _continue(self, real: str, content: bytes, start: int, offset: int) -> None:
        """Write the content from `start` on, `offset` bytes further into the file."""
        while start < len(content):
            start += self._handle.pwrite(real, content[start : start + MESSAGE], offset + start)

    def _check(self, path: str, held: bool) -> None:  # noqa: FBT001 -- it reads as a sentence
        if not held:
            raise _failed(path, "what was read back is not what was written")


def _texts(names: bytes) -> Iterator[str]:
    for name in names.split(b"\0"):
        try:
            text = name.decode()
        except UnicodeDecodeError:
            continue
        if text:
            yield text


def _unreadable(path: str, words: str) -> GuestError:
    return GuestError(Reason.GUEST_FILE_INVALID, f"{path} cannot be read: {words}", file=path)


def _failed(path: str, words: str) -> Hyper2kvmError:
    if any(sign in words for sign in _NO_SPACE):
        return GuestError(
            Reason.GUEST_FULL,
            f"the guest's file system has no room for {path}",
            hint=f"Free some space in the file system of {path} in the guest and export it again.",
            file=path,
        )
    hint = (
        f"Make it changeable in the guest: chattr -i -a {path}; then export it again." if _IMMUTABLE in words else None
    )
    return GuestError(Reason.EDIT_FAILED, f"{path} was not changed: {words}", hint=hint, file=path)
