"""The file or block device under a target, and how bytes get onto it."""

import fcntl
import os
import stat
import threading
from collections import deque
from pathlib import Path

from hyper2kvm.disk.chunks import Sizes, stored_runs
from hyper2kvm.disk.syscalls import finish_writing, punch, start_writing

_ZEROS = bytes(1 << 20)
_BEHIND = 32
"""Writes, of a MiB at most, whose pages are kept until they are on the storage."""


class _Behind:
    """Brings what was written to the storage soon, and gives its pages back.

    So the last sync finds little left, a copy does not push everything else out of the machine's page cache, and what is
    read back to be verified comes from the storage.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._ranges: deque[tuple[int, int]] = deque()
        self._lock = threading.Lock()

    def append(self, offset: int, length: int) -> None:
        start_writing(self._descriptor, offset, length)
        with self._lock:
            self._ranges.append((offset, length))
            if len(self._ranges) <= _BEHIND:
                return
            offset, length = self._ranges.popleft()
        finish_writing(self._descriptor, offset, length)
        os.posix_fadvise(self._descriptor, offset, length, os.POSIX_FADV_DONTNEED)


class Storage:
    """An open file or block device. Methods raise OSError."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Takes over the descriptor."""
        self.path = path
        self.descriptor = descriptor
        found = os.fstat(descriptor)
        self.inode = found.st_ino
        self.is_device = stat.S_ISBLK(found.st_mode)
        self._behind = _Behind(descriptor)

    def read(self, offset: int, length: int) -> bytes:
        """Bytes from an offset on, fewer at the end."""
        return os.pread(self.descriptor, length, offset)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write all of the data."""
        left, at = memoryview(data), offset
        while left:
            count = os.pwrite(self.descriptor, left, at)
            left, at = left[count:], at + count
        self._behind.append(offset, len(data))

    def write_stored(self, offset: int, data: bytes, sizes: Sizes) -> None:
        """Write those pieces of a chunk that are not empty. What is left out must read as zeros already."""
        view = memoryview(data)
        for start, end in stored_runs(sizes):
            self.write(offset + start, view[start:end])

    def zero(self, offset: int, length: int) -> None:
        """Make a range read as zeros, by discarding it where the storage promises zeros then, by writing otherwise."""
        try:
            punch(self.descriptor, offset, length)
        except OSError:  # not every device can, nor at every alignment; a real fault shows again in writing
            for at in range(offset, offset + length, len(_ZEROS)):
                self.write(at, memoryview(_ZEROS)[: offset + length - at])

    def resize(self, size: int) -> None:
        """Give the file its size."""
        os.ftruncate(self.descriptor, size)

    def lock(self) -> None:
        """Keep other runs away until the descriptor is closed. Raises BlockingIOError when another run has it."""
        fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def sync(self) -> None:
        """Bring the data, and the size of the file, to stable storage."""
        os.fdatasync(self.descriptor)

    def free(self) -> int | None:
        """Bytes free in the file system; None for a block device."""
        if self.is_device:
            return None
        found = os.fstatvfs(self.descriptor)
        return found.f_bavail * found.f_frsize

    def size(self) -> int | None:
        """Bytes of the file; None for a block device."""
        return None if self.is_device else os.fstat(self.descriptor).st_size

    def device_size(self) -> int:
        """Bytes of the device."""
        return os.lseek(self.descriptor, 0, os.SEEK_END)

    def stored(self) -> int:
        """Bytes of storage taken; st_blocks counts 512 bytes each (stat(2))."""
        return self.device_size() if self.is_device else os.fstat(self.descriptor).st_blocks * 512

    def close(self) -> None:
        """Close it."""
        os.close(self.descriptor)
