"""Bytes at any place of something large, such as an initramfs of hundreds of megabytes: only a window of it is held."""

from typing import Protocol

from hyper2kvm.guest.files import GuestFiles

WINDOW = 2 << 20
"""Bytes that are read ahead from a guest's file."""


class ByteSource(Protocol):
    """Something of a known size that can be read anywhere."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    def read(self, offset: int, count: int) -> bytes:
        """The bytes there; fewer at the end, none behind it."""
        ...


class HeldBytes(ByteSource):
    """Bytes in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    @property
    def size(self) -> int:
        """See ByteSource."""
        return len(self._content)

    def read(self, offset: int, count: int) -> bytes:
        """See ByteSource."""
        return self._content[offset : offset + count]


class FileBytes(ByteSource):
    """A file of a guest."""

    def __init__(self, files: GuestFiles, path: str) -> None:
        """A path that leads to nothing has no bytes."""
        self._files = files
        self._path = path
        found = files.stat(path)
        self._size = found.size if found is not None else 0
        self._start, self._window = 0, b""

    @property
    def size(self) -> int:
        """See ByteSource."""
        return self._size

    def read(self, offset: int, count: int) -> bytes:
        """See ByteSource.

        Raises:
            GuestError: GuestFileInvalid.
        """
        count = min(count, self._size - offset)
        if count <= 0:
            return b""
        if not self._start <= offset <= offset + count <= self._start + len(self._window):
            self._start, self._window = offset, self._files.part(self._path, offset, max(count, WINDOW))
        at = offset - self._start
        return self._window[at : at + count]


class Section(ByteSource):
    """A part of another source."""

    def __init__(self, source: ByteSource, start: int, size: int) -> None:
        """`size` bytes from `start` on, as far as the source has them."""
        self._source = source
        self._start = start
        self._size = max(0, min(size, source.size - start))

    @property
    def size(self) -> int:
        """See ByteSource."""
        return self._size

    def read(self, offset: int, count: int) -> bytes:
        """See ByteSource."""
        count = min(count, self._size - offset)
        return self._source.read(self._start + offset, count) if count > 0 else b""
