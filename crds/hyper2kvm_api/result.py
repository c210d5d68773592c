"""Result: a run's verdict, small enough for a pod's termination message (4096 bytes)."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Self

from pydantic import Field

from hyper2kvm_api.document import Document
from hyper2kvm_api.errors import Hyper2kvmError
from hyper2kvm_api.machine import Firmware
from hyper2kvm_api.migration import BootStatus, Failure
from hyper2kvm_api.scalars import cut

MAX_BYTES = 4096


class Outcome(StrEnum):
    """How a run ended."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    INTERRUPTED = "Interrupted"


_FAILURE_TEXT = 4000
_DISK_ID = 64
_READABLE = 256
"""Characters of a text that still say something."""


def failure_of(error: Hyper2kvmError) -> Failure:
    """The failure that an error is, its texts cut to what a status can hold."""
    return Failure(
        reason=str(error.reason),
        message=cut(error.message, _FAILURE_TEXT),
        hint=cut(error.hint, _FAILURE_TEXT),
        stage=error.stage,
        disk=cut(error.disk, _DISK_ID) if error.disk else None,
        file=cut(error.file, _FAILURE_TEXT) if error.file else None,
    )


class DiskResult(Document):
    """A finished disk."""

    id: str = Field(max_length=64)
    """The disk's id in the Machine."""
    capacity: int
    """Virtual size in bytes."""
    digest: str = Field(max_length=128)
    """Digest of the target's content (see docs/reference/digests)."""


class Result(Document):
    """How a run ended."""

    outcome: Outcome
    """The verdict."""
    failure: Failure | None = None
    """Why it failed."""
    retry: bool = False
    """Whether the same run may succeed when it is started again."""
    firmware: Firmware | None = None
    """The firmware that the guest boots with."""
    boot_disk: str | None = Field(default=None, max_length=64)
    """Id of the disk that the firmware starts."""
    repaired: bool | None = None
    """Whether the guest was repaired for KVM; false where it was copied unchanged, absent for a dry run."""
    disks: tuple[DiskResult, ...] = ()
    """The finished disks."""
    boot: BootStatus | None = None
    """The boot proof."""
    warnings: tuple[str, ...] = ()
    """What a user should know."""

    def fitted(self, limit: int = MAX_BYTES) -> str:
        """The result as JSON of at most `limit` bytes (1024 or more).

        As needed, warnings are left out, then the failure's texts are cut to what can still be read, then digests go.
        """
        for smaller in self._ever_smaller():
            text = smaller.to_json()
            if len(text.encode()) <= limit:
                break
        return text

    def _ever_smaller(self) -> Iterator[Self]:
        made = self
        yield made
        kept = len(self.warnings)
        while kept := kept * 3 // 4:
            yield self.replaced(warnings=(*self.warnings[:kept], "More warnings are in the report."))
        made = self.replaced(warnings=())
        yield made
        while made.failure is not None and (shorter := _shorter(made.failure, _READABLE)) is not None:
            made = made.replaced(failure=shorter)
            yield made
        while made.disks:
            made = made.replaced(disks=made.disks[:-1])
            yield made
        made = made.replaced(boot=None, boot_disk=None)
        yield made
        while made.failure is not None and (shorter := _shorter(made.failure, 1)) is not None:
            made = made.replaced(failure=shorter)
            yield made


def _shorter(failure: Failure, least: int) -> Failure | None:
    """The failure with the longest of its texts halved; None when none has more than `least` characters."""
    texts = {name: getattr(failure, name) or "" for name in ("message", "hint", "file", "disk")}
    longest = max(texts, key=lambda name: len(texts[name]))
    if len(texts[longest]) <= least:
        return None
    return failure.replaced(**{longest: cut(texts[longest], len(texts[longest]) // 2)})
