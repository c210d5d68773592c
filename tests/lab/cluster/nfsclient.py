#!/usr/bin/python3
"""The node's mount.nfs(8): NFS 4 in user space, by libnfs and FUSE, as the kernel of the machine may have no client.

The kubelet calls it through mount(8) as on every node. It only reads, and needs Debian's libnfs and fusepy alone.
"""

import ctypes
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import fusepy

_STAT = "dev ino mode nlink uid gid rdev size blksize blocks atime mtime ctime atime_nsec mtime_nsec ctime_nsec used"
_TOLD = {
    "st_ino": "ino",
    "st_mode": "mode",
    "st_nlink": "nlink",
    "st_uid": "uid",
    "st_gid": "gid",
    "st_size": "size",
    "st_atime": "atime",
    "st_mtime": "mtime",
    "st_ctime": "ctime",
}


class _Stat(ctypes.Structure):
    """struct nfs_stat_64 (libnfs.h)."""

    _fields_ = [(name, ctypes.c_uint64) for name in _STAT.split()]


class _Entry(ctypes.Structure):
    """The beginning of struct nfsdirent (libnfs.h)."""

    _fields_ = [("next", ctypes.c_void_p), ("name", ctypes.c_char_p)]


_POINTER = ctypes.c_void_p
_WHERE = ctypes.POINTER(ctypes.c_void_p)
_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "init_context": (_POINTER, ()),
    "get_error": (ctypes.c_char_p, (_POINTER,)),
    "set_version": (ctypes.c_int, (_POINTER, ctypes.c_int)),
    "mount": (ctypes.c_int, (_POINTER, ctypes.c_char_p, ctypes.c_char_p)),
    "lstat64": (ctypes.c_int, (_POINTER, ctypes.c_char_p, ctypes.POINTER(_Stat))),
    "open": (ctypes.c_int, (_POINTER, ctypes.c_char_p, ctypes.c_int, _WHERE)),
    "pread": (ctypes.c_int, (_POINTER, _POINTER, ctypes.c_uint64, ctypes.c_uint64, _POINTER)),
    "close": (ctypes.c_int, (_POINTER, _POINTER)),
    "opendir": (ctypes.c_int, (_POINTER, ctypes.c_char_p, _WHERE)),
    "readdir": (ctypes.POINTER(_Entry), (_POINTER, _POINTER)),
    "closedir": (None, (_POINTER, _POINTER)),
}
"""What is called of libnfs: result and arguments."""


def _library() -> Any:
    library = ctypes.CDLL("libnfs.so.13")
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, f"nfs_{name}")
        function.restype, function.argtypes = result, arguments
    return library


class Export(fusepy.Operations):  # type: ignore[misc]  # fusepy has no types
    """A server's export, to read. FUSE calls one method at a time; its errors are errno's."""

    def __init__(self, server: str, path: str) -> None:
        """Mount it. Exits with the server's words when that fails."""
        self._nfs = _library()
        self._context = self._nfs.nfs_init_context()
        self._nfs.nfs_set_version(self._context, 4)
        if self._nfs.nfs_mount(self._context, server.encode(), path.encode()) != 0:
            raise SystemExit(f"mount.nfs: {self._nfs.nfs_get_error(self._context).decode()}")
        self._opened: dict[str, ctypes.c_void_p] = {}
        self._users: Counter[str] = Counter()

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        """stat(2)."""
        stat = _Stat()
        self._done(self._nfs.nfs_lstat64(self._context, path.encode(), stat))
        return {told: getattr(stat, name) for told, name in _TOLD.items()}

    def readdir(self, path: str, fh: int) -> Iterator[str]:
        """The names in a folder."""
        folder = ctypes.c_void_p()
        self._done(self._nfs.nfs_opendir(self._context, path.encode(), folder))
        while entry := self._nfs.nfs_readdir(self._context, folder):
            yield entry.contents.name.decode()
        self._nfs.nfs_closedir(self._context, folder)

    def open(self, path: str, flags: int) -> int:
        """Open a file once for all who want it: to the server they are one owner, and who closes it first closes it."""
        if path not in self._opened:
            file = ctypes.c_void_p()
            self._done(self._nfs.nfs_open(self._context, path.encode(), 0, file))
            self._opened[path] = file
        self._users[path] += 1
        return 0

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """Bytes of an open file."""
        buffer = ctypes.create_string_buffer(size)
        count = self._done(self._nfs.nfs_pread(self._context, self._opened[path], offset, size, buffer))
        return buffer.raw[:count]

    def release(self, path: str, fh: int) -> int:
        """Close a file, when it is the last who does."""
        self._users[path] -= 1
        if not self._users[path]:
            self._nfs.nfs_close(self._context, self._opened.pop(path))
        return 0

    def _done(self, result: int) -> int:
        if result < 0:
            raise fusepy.FuseOSError(-result)
        return result


def main(arguments: list[str]) -> None:
    """`mount.nfs SERVER:PATH FOLDER -o ro[,…]`, as mount(8) calls it; goes on in the background until it is unmounted."""
    what, folder, *more = arguments
    options = ",".join(more).split(",")
    if "ro" not in options:
        raise SystemExit("mount.nfs: this one only reads: mount with ro")
    server, _, path = what.partition(":")
    fusepy.FUSE(Export(server, path), folder, nothreads=True, ro=True, allow_other=True, fsname=what, subtype="nfs")


if __name__ == "__main__":
    main(sys.argv[1:])
