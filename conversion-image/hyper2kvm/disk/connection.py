"""Connections to NBD servers: the only module that uses libnbd."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import quote

import nbd

_ALLOCATION = "base:allocation"
_READS_AS_ZEROS = 2
"""NBD_STATE_ZERO of the metadata context base:allocation (NBD protocol, "Metadata querying")."""
_STATUS_STEP = 2 << 30
"""Bytes that one block status request covers; the protocol's lengths have 32 bits."""


def uri_of(socket: Path) -> str:
    """The URI of the default export of a server on a Unix socket (https://github.com/NetworkBlockDevice/nbd, doc/uri.md)."""
    return f"nbd+unix:///?socket={quote(str(socket), safe='/')}"


class _Handle(Protocol):
    """What is used of nbd.NBD (libnbd(3)). Every call raises nbd.Error."""

    def set_pread_initialize(self, request: bool) -> None: ...  # noqa: FBT001 -- libnbd's own signature
    def set_request_structured_replies(self, request: bool) -> None: ...  # noqa: FBT001 -- as above
    def add_meta_context(self, name: str) -> None: ...
    def can_meta_context(self, metacontext: str) -> bool: ...
    def connect_uri(self, uri: str) -> None: ...
    def get_size(self) -> int: ...
    def pread(self, count: int, offset: int) -> bytes: ...
    def block_status(self, count: int, offset: int, extent: Callable[[str, int, list[int], int], int]) -> None: ...
    def shutdown(self) -> None: ...


class Connection:
    """One connection to an export, as a context manager. It serves one request at a time; threads have one each."""

    def __init__(self, uri: str, *, extents: bool = False) -> None:
        """Connect; `extents` for a connection that is asked for data(). Raises OSError."""
        self._handle: _Handle = nbd.NBD()
        with _as_os_error():
            # A failed read raises: its buffer is never looked at, and need not be cleared before.
            self._handle.set_pread_initialize(False)
            if extents:
                self._handle.add_meta_context(_ALLOCATION)
            else:
                # QEMU's server answers a read that fails with the error only in simple replies; from structured ones it
                # goes away (nbd/server.c, nbd_co_send_sparse_read), and what failed is not known.
                self._handle.set_request_structured_replies(False)
            self._handle.connect_uri(uri)
            self.size = self._handle.get_size()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the export. Raises OSError."""
        with _as_os_error():
            return self._handle.pread(length, offset)

    def data(self) -> Iterator[tuple[int, int]]:
        """Ranges that may hold something other than zeros: offset and length in bytes, ascending.

        Everything is one such range where the server does not tell. Raises OSError.
        """
        with _as_os_error():
            known = self._handle.can_meta_context(_ALLOCATION)
        if not known:
            yield 0, self.size
            return
        at = 0
        while at < self.size:
            for length, flags in self._status(at):
                end = min(at + length, self.size)
                if not flags & _READS_AS_ZEROS:
                    yield at, end - at
                at = end

    def close(self) -> None:
        """Say goodbye to the server."""
        try:
            self._handle.shutdown()
        except nbd.Error:
            return  # it has gone already: nothing was written that could be lost

    def _status(self, offset: int) -> list[tuple[int, int]]:
        """Extents from `offset`: length in bytes and flags; at least one, none of them empty."""
        found: list[int] = []

        def extent(context: str, _offset: int, entries: list[int], _error: int) -> int:
            if context == _ALLOCATION:
                found.extend(entries)
            return 0

        with _as_os_error():
            self._handle.block_status(min(_STATUS_STEP, self.size - offset), offset, extent)
        extents = list(zip(found[::2], found[1::2], strict=True))
        if not extents or any(length <= 0 for length, _ in extents):
            raise OSError(errno.EPROTO, "the NBD server told no extents")
        return extents


@contextmanager
def _as_os_error() -> Iterator[None]:
    try:
        yield
    except nbd.Error as error:
        raise OSError(error.errnum or errno.EIO, error.string) from error
