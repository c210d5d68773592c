"""What the copy engine needs of a target, and what errors of writing become."""

import errno
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from hyper2kvm.disk.chunks import Sizes
from hyper2kvm.disk.journal import Claim
from hyper2kvm.disk.targets.storage import Storage
from hyper2kvm.workspace import FULL
from hyper2kvm_api.errors import TargetError
from hyper2kvm_api.reasons import Reason

Claims: TypeAlias = Callable[[], Iterable[Claim]]
"""Gives all written chunks in the order of the disk, as often as it is called."""


@dataclass(frozen=True)
class Packed:
    """A chunk as a target stores it.

    Attributes:
        sizes: how its pieces are stored.
        payload: the bytes to store; how they are arranged is the target's affair.
    """

    sizes: Sizes
    payload: bytes


class Target(Protocol):
    """Takes a disk's chunks. Methods raise OSError as the storage does.

    `pack` and `write` may be called from several threads at once. `place` is called by one at a time, for the chunks in
    the order of the disk, so that the same disk gives the same file however threads and restarts fall.
    """

    @property
    def storage(self) -> Storage:
        """The file or block device."""
        ...

    def pack(self, data: bytes) -> Packed:
        """A chunk's content in the form in which it is stored."""
        ...

    def place(self, index: int, sizes: Sizes) -> int:
        """The offset in the file at which a chunk goes. A resumed copy calls it for the chunks that are there, too."""
        ...

    def write(self, position: int, packed: Packed, *, whole: bool) -> None:
        """Write a chunk at the offset that `place` gave it.

        `whole` says that the place may hold something already: its empty pieces are written then, too.
        """
        ...

    def seal(self, claims: Claims, identity: bytes) -> None:
        """Write what makes a whole image of the chunks, and bring all to stable storage. May be done again.

        `identity` are 32 bytes that are equal for equal content.
        """
        ...


def target_error(error: OSError, storage: Storage, needed: int) -> TargetError:
    """What an error of the target's storage means to a user. `needed` are bytes that are still to be copied."""
    if error.errno not in FULL:
        return TargetError(Reason.TARGET_UNWRITABLE, f"{storage.path}: {os.strerror(error.errno or errno.EIO)}")
    return TargetError(
        Reason.TARGET_FULL,
        f"{storage.path}: no space left: {needed} bytes are still to be copied, {storage.free() or 0} bytes are free",
    )
