"""Where the bytes of an image lie: in a plain file of this machine, or behind an NBD export that a source serves."""

import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from pydantic import Field

from hyper2kvm_api.document import Document
from hyper2kvm_api.errors import Hyper2kvmError, ImageError, SourceError
from hyper2kvm_api.reasons import Reason

_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})


class FileRegion(Document):
    """Bytes of a file on this machine."""

    path: str = Field(pattern=r"^/")
    """Absolute path of a plain file (never a link)."""
    offset: int = Field(default=0, ge=0)
    """First byte."""
    length: int = Field(ge=0)
    """Number of bytes."""

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.path


class NbdExport(Document):
    """The default export of an NBD server that a source runs while it is open. Where its socket is, the source says."""

    export: str = Field(min_length=1)
    """The source's name for it."""
    length: int = Field(ge=0)
    """Number of bytes."""

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.export


Location: TypeAlias = FileRegion | NbdExport

Exports: TypeAlias = Mapping[str, Path]
"""The Unix sockets of the exports that a source serves now, by their names."""

NO_EXPORTS: Exports = {}
"""Of sources whose bytes lie in files."""


def open_plain(path: str) -> int:
    """A descriptor of a plain file, read-only. A link is not followed, and nothing waits for a pipe's other end.

    Raises:
        SourceError: SourceNotFound or SourceUnreadable.
        ImageError: ImageReferenceUnsafe, when it is a link or no plain file.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise _not_opened(path, error) from None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise _not_plain(path)


def beside(folder: str, name: str, missing: Reason, what: str) -> FileRegion:
    """A plain file beside others of the source.

    Args:
        folder: the folder.
        name: a plain name.
        missing: reason of the error when it is not there.
        what: what it is, for messages.

    Raises:
        ImageError: `missing`, or ImageReferenceUnsafe when it is no plain file.
        SourceError: SourceUnreadable, when the folder does not let it be looked at.
    """
    path = Path(folder, name)
    try:
        found = path.lstat()
    except OSError as error:
        if error.errno in _ABSENT:
            raise ImageError(missing, f"{what} {name} is not in {folder}", file=name) from None
        raise unreadable(str(path), error, name) from None
    if not stat.S_ISREG(found.st_mode):
        raise ImageError(Reason.IMAGE_REFERENCE_UNSAFE, f"{what} {name} in {folder} is no plain file", file=name)
    return FileRegion(path=str(path), length=found.st_size)


def unreadable(name: str, error: OSError, file: str | None = None) -> SourceError:
    """What a failed read of a source means to a user.

    Args:
        name: what is read, for the message.
        error: how it failed.
        file: the file, when it is one.
    """
    hint = None
    if error.errno == errno.EIO:
        hint = (
            "The storage under the source reports errors: look at the kernel's log (dmesg) of the machine that holds it, "
            "and copy the source to sound storage."
        )
    words = os.strerror(error.errno) if error.errno else str(error)
    return SourceError(Reason.SOURCE_UNREADABLE, f"{name} cannot be read: {words}", hint=hint, file=file)


def _not_opened(path: str, error: OSError) -> Hyper2kvmError:
    if error.errno == errno.ENOENT:
        return SourceError(Reason.SOURCE_NOT_FOUND, f"{path} is not there", file=path)
    # ELOOP is O_NOFOLLOW's answer to a link, ENXIO that of a socket or of a device without a driver (open(2)).
    if error.errno in {errno.ELOOP, errno.ENXIO}:
        return _not_plain(path)
    return unreadable(path, error, path)


def _not_plain(path: str) -> ImageError:
    return ImageError(Reason.IMAGE_REFERENCE_UNSAFE, f"{path} is a link, or no plain file", file=path)
