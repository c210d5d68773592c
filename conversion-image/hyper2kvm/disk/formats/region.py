"""Reading a region of a source file, and what every format module tells of an image."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hyper2kvm.sources.description import FileRegion
from hyper2kvm_api.errors import ImageError, SourceError
from hyper2kvm_api.reasons import Reason


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
    """Bytes of a region by their offset in it."""

    def __init__(self, region: FileRegion, descriptor: int) -> None:
        self.name = region.path
        self.length = region.length
        self._offset = region.offset
        self._descriptor = descriptor

    def read(self, offset: int, length: int, what: str) -> bytes:
        """Exactly `length` bytes; `what` names them in the error.

        Raises:
            ImageError: ImageTruncated, when the region ends before.
        """
        if offset < 0 or length < 0 or offset + length > self.length:
            raise self.truncated(f"{what} would end at byte {offset + length}")
        data = os.pread(self._descriptor, length, self._offset + offset)
        if len(data) != length:
            raise self.truncated(f"{what} ends early")
        return data

    def truncated(self, what: str) -> ImageError:
        """The error that the image is shorter than it says."""
        return ImageError(Reason.IMAGE_TRUNCATED, f"{self.name} has {self.length} bytes, and {what}", file=self.name)

    def corrupt(self, what: str) -> ImageError:
        """The error that the image contradicts itself."""
        return ImageError(Reason.IMAGE_CORRUPT, f"{self.name}: {what}", file=self.name)

    def unsupported(self, what: str, hint: str | None = None) -> ImageError:
        """The error that the image is of a variant that is not read."""
        return ImageError(Reason.IMAGE_UNSUPPORTED, f"{self.name}: {what}", hint=hint, file=self.name)

    def mismatch(self, expected: str) -> ImageError:
        """The error that the image is not of its format."""
        if self.length == 0:
            return self.truncated("an empty file is no image")
        return ImageError(Reason.IMAGE_FORMAT_MISMATCH, f"{self.name} is no {expected} image", file=self.name)

    def unsafe(self, what: str) -> ImageError:
        """The error that the image refers to what it may not refer to."""
        return ImageError(Reason.IMAGE_REFERENCE_UNSAFE, f"{self.name}: {what}", file=self.name)


@contextmanager
def opened(region: FileRegion) -> Iterator[RegionReader]:
    """Open a region read-only.

    Raises:
        SourceError: SourceNotFound or SourceUnreadable.
    """
    try:
        descriptor = os.open(region.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        raise SourceError(Reason.SOURCE_NOT_FOUND, f"{region.path} is not there", file=region.path) from None
    except OSError as error:
        raise SourceError(Reason.SOURCE_UNREADABLE, f"{region.path}: {error.strerror}", file=region.path) from None
    try:
        yield RegionReader(region, descriptor)
    finally:
        os.close(descriptor)
