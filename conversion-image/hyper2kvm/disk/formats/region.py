"""Reading what lies at a location, and what every format module tells of an image."""

import os
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

from hyper2kvm.disk.connection import Connection, uri_of
from hyper2kvm.disk.location import NO_EXPORTS, Exports, FileRegion, Location, open_plain, unreadable
from hyper2kvm_api.errors import ImageError
from hyper2kvm_api.reasons import Reason

_STEP = 1 << 20
"""Bytes of a table that are held in memory at once."""


@dataclass(frozen=True)
class ImageFacts:
    """What an image says of itself.

    Attributes:
        capacity: virtual size in bytes.
        wwn: world-wide name that the disk presents, in lower-case hexadecimal; None when the image states none.
    """

    capacity: int
    wwn: str | None = None


class RegionReader:
    """Bytes by their offset from where an image begins.

    Attributes:
        name: what messages call the image.
        length: its bytes.
    """

    def __init__(self, location: Location, pread: Callable[[int, int], bytes]) -> None:
        """`pread` reads so many bytes (second) at an offset (first); it may return fewer, and raise OSError."""
        self.name = location.name
        self.length = location.length
        self._pread = pread

    def read(self, offset: int, length: int, what: str) -> bytes:
        """Exactly `length` bytes; `what` names them in the error.

        Raises:
            ImageError: ImageTruncated, when the image ends before.
            SourceError: SourceUnreadable.
        """
        if offset < 0 or length < 0 or offset + length > self.length:
            raise self.truncated(f"{what} would end at byte {offset + length}")
        try:
            data = self._pread(offset, length)
        except OSError as error:
            raise unreadable(self.name, error, self.name) from error
        if len(data) != length:
            raise self.truncated(f"{what} ends early")
        return data

    def numbers(
        self, offset: int, count: int, what: str, *, big: bool = False, size: int = 4
    ) -> "Iterator[array[int]]":
        """A table of `count` unsigned numbers of `size` bytes, in pieces of a MiB at most. Raises as `read`."""
        if offset + count * size > self.length:
            raise self.truncated(f"{what} would end at byte {offset + count * size}")
        end = offset + count * size
        for at in range(offset, end, _STEP):
            piece = array("I" if size == 4 else "Q", self.read(at, min(_STEP, end - at), what))
            if big != (sys.byteorder == "big"):
                piece.byteswap()
            yield piece

    def disjoint(self, offsets: Iterable[int], size: int, what: str) -> list[int]:
        """Offsets of tables of `size` bytes in ascending order. None overlaps another, so that reading all is bounded.

        Raises:
            ImageError: ImageCorrupt.
        """
        ordered = sorted(offsets)
        for before, after in pairwise(ordered):
            if after - before < size:
                raise self.corrupt(f"two places name the {what} at byte {after}")
        return ordered

    def truncated(self, what: str) -> ImageError:
        """The error that the image is shorter than it says."""
        return ImageError(Reason.IMAGE_TRUNCATED, f"{self.name} has {self.length} bytes, and {what}", file=self.name)

    def corrupt(self, what: str) -> ImageError:
        """The error that the image contradicts itself."""
        return ImageError(Reason.IMAGE_CORRUPT, f"{self.name}: {what}", file=self.name)

    def unsupported(self, what: str, hint: str | None = None) -> ImageError:
        """The error that the image is of a variant that is not read."""
        return ImageError(Reason.IMAGE_UNSUPPORTED, f"{self.name}: {what}", hint=hint, file=self.name)

    def mismatch(self, expected: str, why: str | None = None) -> ImageError:
        """The error that the image is not of its format."""
        if self.length == 0:
            return self.truncated("an empty file is no image")
        message = f"{self.name} is no {expected} image" + (f": {why}" if why else "")
        return ImageError(Reason.IMAGE_FORMAT_MISMATCH, message, file=self.name)

    def unsafe(self, what: str) -> ImageError:
        """The error that the image refers to what it may not refer to."""
        return ImageError(Reason.IMAGE_REFERENCE_UNSAFE, f"{self.name}: {what}", file=self.name)


@contextmanager
def opened(location: Location, exports: Exports = NO_EXPORTS) -> Iterator[RegionReader]:
    """Open what lies at a location, read-only.

    Raises:
        SourceError: SourceNotFound or SourceUnreadable.
        ImageError: ImageReferenceUnsafe, when a file is a link or no plain file.
    """
    if isinstance(location, FileRegion):
        descriptor = open_plain(location.path)
        try:
            yield RegionReader(location, lambda at, length: os.pread(descriptor, length, location.offset + at))
        finally:
            os.close(descriptor)
        return
    try:
        connection = Connection(uri_of(exports[location.export]))
    except OSError as error:
        raise unreadable(location.name, error, location.name) from error
    with connection:
        yield RegionReader(location, connection.read)
