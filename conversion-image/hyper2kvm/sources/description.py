"""What a source is and what it says: the machine, and for each disk where its bytes lie. FETCH's document."""

import threading
from contextlib import AbstractContextManager
from typing import Protocol

from pydantic import Field

from hyper2kvm.disk.image import SourceDisk
from hyper2kvm.disk.location import Exports
from hyper2kvm.events import Events
from hyper2kvm_api.document import Document
from hyper2kvm_api.machine import Machine


class Part(Document):
    """A part of a source, such as a file, and how it looked: to notice that it changed."""

    name: str
    """The source's name for it; of a file its absolute path."""
    identity: str
    """Differs when the part's bytes do: a file's size and time, a snapshot's id, an object's tag."""


class Fetched(Document):
    """FETCH's document: the machine, its disks, and the identity of what was read."""

    machine: Machine
    disks: tuple[SourceDisk, ...] = Field(min_length=1)
    parts: tuple[Part, ...]
    verified: tuple[str, ...] = ()
    """Names of the files whose digests were compared with the source's own manifest."""


class Source(Protocol):
    """One way to hold a virtual machine. Implementations open everything read-only.

    FETCH reads the description; the stages that read the disks' bytes open the source for as long as they do so.
    """

    @property
    def key(self) -> str:
        """What tells this source from others: another one is fetched anew."""
        ...

    def fetch(self, events: Events, stop: threading.Event) -> Fetched:
        """Describe the machine, and look at every disk's image.

        Args:
            events: where progress is told.
            stop: set when the run is interrupted; what takes long looks at it.

        Raises:
            SourceError: the source is missing, unreadable, damaged or not what it says.
            ImageError: a disk's image is damaged or unsafe to open.
        """
        ...

    def identity(self, part: str) -> str | None:
        """The identity that a part has now, by its name; None when it is gone. Cheap: every run asks."""
        ...

    def opened(self) -> AbstractContextManager[Exports]:
        """Make the disks' bytes readable until the context ends; gives the sockets of the exports among the locations.

        Raises:
            SourceError: SourceUnreadable.
            HostError: a program is missing or failed.
        """
        ...


def changed_parts(source: Source, fetched: Fetched) -> tuple[str, ...]:
    """The names of the parts that are not as they were when they were fetched."""
    return tuple(part.name for part in fetched.parts if source.identity(part.name) != part.identity)
