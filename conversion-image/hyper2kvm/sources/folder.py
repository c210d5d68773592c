"""Reading files of a source folder, bounded and with errors that name them. No link among them is followed."""

import os
from collections.abc import Iterable

from hyper2kvm.disk.formats.encoding import decoded
from hyper2kvm.disk.location import open_plain, unreadable
from hyper2kvm.sources.description import Part
from hyper2kvm_api.errors import SourceError
from hyper2kvm_api.reasons import Reason


def read_text(path: str, limit: int) -> str:
    """A small text file, whose encoding may be its own (disk/formats/encoding.py).

    Raises:
        SourceError, ImageError: as `read_bytes`.
    """
    return decoded(read_bytes(path, limit))


def read_bytes(path: str, limit: int) -> bytes:
    """A small file.

    Raises:
        SourceError: SourceNotFound, SourceUnreadable, or MachineDescriptionInvalid when it is larger than `limit` bytes.
        ImageError: ImageReferenceUnsafe, when it is a link or no plain file.
    """
    try:
        with os.fdopen(open_plain(path), "rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise unreadable(path, error, path) from None
    if len(data) > limit:
        raise SourceError(Reason.MACHINE_DESCRIPTION_INVALID, f"{path} has more than {limit} bytes", file=path)
    return data


def parts_of(paths: Iterable[str]) -> tuple[Part, ...]:
    """How files look now.

    Raises:
        SourceError: SourceUnreadable, when one is gone.
    """
    return tuple(_part(path) for path in dict.fromkeys(paths))


def file_identity(path: str) -> str | None:
    """The size of a file in bytes, and the time of its last change in nanoseconds; None when it cannot be looked at."""
    try:
        return _identity(path)
    except OSError:
        return None


def _part(path: str) -> Part:
    try:
        return Part(name=path, identity=_identity(path))
    except OSError as error:
        raise unreadable(path, error, path) from None


def _identity(path: str) -> str:
    found = os.lstat(path)
    return f"{found.st_size} bytes, changed at {found.st_mtime_ns}"
