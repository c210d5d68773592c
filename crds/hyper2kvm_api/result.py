"""Result: a run's verdict, small enough for a pod's termination message (4096 bytes)."""

from enum import StrEnum

from pydantic import Field

from hyper2kvm_api.document import Document
from hyper2kvm_api.errors import Hyper2kvmError
from hyper2kvm_api.machine import Firmware
from hyper2kvm_api.migration import BootStatus, Failure

MAX_BYTES = 4096


class Outcome(StrEnum):
    """How a run ended."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    INTERRUPTED = "Interrupted"


_FAILURE_TEXT = 4000


def failure_of(error: Hyper2kvmError) -> Failure:
    """The failure that an error is, its texts cut to what a status can hold."""
    return Failure(
        reason=str(error.reason),
        message=error.message[:_FAILURE_TEXT],
        hint=error.hint[:_FAILURE_TEXT],
        stage=error.stage,
        disk=error.disk,
        file=error.file[:_FAILURE_TEXT] if error.file else None,
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
        """The result as JSON of at most `limit` bytes: warnings, then the message's end, are dropped as needed."""
        text = self.to_json()
        if len(text.encode()) <= limit:
            return text
        if self.warnings:
            kept = self.warnings[:-2] if len(self.warnings) > 1 else ()
            more = (*kept, "More warnings are in the report.") if kept else ()
            return self.replaced(warnings=more).fitted(limit)
        if self.failure is not None and len(self.failure.message) > 64:
            shorter = self.failure.replaced(message=self.failure.message[: len(self.failure.message) // 2] + "…")
            return self.replaced(failure=shorter).fitted(limit)
        if self.disks:
            return self.replaced(disks=self.disks[: len(self.disks) // 2]).fitted(limit)
        return text
