"""What a source says: the machine, and for each disk where its bytes lie. FETCH's document."""

from typing import Protocol

from pydantic import Field

from hyper2kvm_api.document import Document
from hyper2kvm_api.machine import Machine
from hyper2kvm_api.migration import ImageFormat


class FileRegion(Document):
    """Bytes of a file on this machine."""

    path: str = Field(pattern=r"^/")
    """Absolute path of a plain file (never a link that leaves the source)."""
    offset: int = Field(default=0, ge=0)
    """First byte."""
    length: int = Field(ge=0)
    """Number of bytes."""


class SourceDisk(Document):
    """The image of one of the machine's disks."""

    id: str
    """The disk's id in the machine."""
    format: ImageFormat
    """Format of the image."""
    region: FileRegion
    """The image, or the descriptor that names its extents. Of a snapshot chain: the newest link."""
    siblings: str | None = None
    """Absolute path of the folder in which extents and parents may lie; None when there can be none (an archive)."""


class FileState(Document):
    """How a file of the source looked, to notice that it changed."""

    path: str
    """Absolute path."""
    size: int
    """Size in bytes."""
    modified: int
    """Time of the last change in nanoseconds."""


class Fetched(Document):
    """FETCH's document: the machine, its disks, and the state of the files that were read."""

    machine: Machine
    disks: tuple[SourceDisk, ...] = Field(min_length=1)
    files: tuple[FileState, ...]
    verified: tuple[str, ...] = ()
    """Names of the files whose digests were compared with the source's own manifest."""


class Source(Protocol):
    """One way to hold a virtual machine. Implementations open everything read-only."""

    def fetch(self) -> Fetched:
        """Describe the machine and make its disks' bytes readable here.

        Raises:
            SourceError: the source is missing, unreadable, damaged or not what it says.
            ImageError: a disk's image is damaged or unsafe to open.
        """
        ...
