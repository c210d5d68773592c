"""System calls of Linux that Python does not offer."""

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_KEEP_SIZE = 0x01
_PUNCH_HOLE = 0x02
"""FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE of fallocate(2)."""
_SYNC_FILE_RANGE_WRITE = 2
_SYNC_FILE_RANGE_ALL = 7
"""Wait for what is being written, write the rest, and wait for that."""
_AT_FDCWD = -100
_NOREPLACE = 1
"""RENAME_NOREPLACE of renameat2(2)."""


def punch(descriptor: int, offset: int, length: int) -> None:
    """Make a range of a file or block device read as zeros without writing it (fallocate(2)).

    Raises:
        OSError: EOPNOTSUPP where file system or device cannot; EINVAL where a device's blocks are larger than the
            range's alignment.
    """
    _check(
        _libc.fallocate(
            descriptor, ctypes.c_int(_PUNCH_HOLE | _KEEP_SIZE), ctypes.c_int64(offset), ctypes.c_int64(length)
        )
    )


def start_writing(descriptor: int, offset: int, length: int) -> None:
    """Have the kernel write a range to its storage soon (sync_file_range(2)), so that a later fdatasync finds little left.

    A mere hint: errors show in fdatasync.
    """
    _libc.sync_file_range(
        descriptor, ctypes.c_int64(offset), ctypes.c_int64(length), ctypes.c_uint(_SYNC_FILE_RANGE_WRITE)
    )


def finish_writing(descriptor: int, offset: int, length: int) -> None:
    """Wait until a range has been written. As `start_writing`, a mere hint: metadata and the device's cache are not in it."""
    _libc.sync_file_range(
        descriptor, ctypes.c_int64(offset), ctypes.c_int64(length), ctypes.c_uint(_SYNC_FILE_RANGE_ALL)
    )


def rename_noreplace(old: str, new: str) -> None:
    """Rename unless the new name is taken (renameat2(2)).

    Raises:
        OSError: EEXIST (FileExistsError) when it is; EINVAL where the file system cannot tell.
    """
    _check(_libc.renameat2(_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), ctypes.c_uint(_NOREPLACE)))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
