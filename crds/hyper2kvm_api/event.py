"""Event: one line of a run's progress. A pod writes them to its standard output, one JSON object a line."""

from enum import StrEnum

from pydantic import Field

from hyper2kvm_api.document import Document
from hyper2kvm_api.machine import Machine
from hyper2kvm_api.migration import BootStatus
from hyper2kvm_api.stage import Stage


class EventType(StrEnum):
    """What an event tells."""

    STAGE_STARTED = "StageStarted"
    STAGE_SKIPPED = "StageSkipped"
    STAGE_FINISHED = "StageFinished"
    PROGRESS = "Progress"
    NOTE = "Note"
    WARNING = "Warning"
    FAILED = "Failed"
    SUCCEEDED = "Succeeded"
    MACHINE = "Machine"
    REPORT = "Report"


class Made(Document):
    """What a run has made. Paths are absolute."""

    disks: tuple[str, ...] = ()
    """The finished disks; none of a dry run."""
    domain: str | None = None
    """The libvirt domain."""
    boot: BootStatus | None = None
    """The boot proof."""
    screenshot: str | None = None
    """The last screen of the boot check."""
    report: str | None = None
    """The report, as a page."""


class Event(Document):
    """Something that happened in a run."""

    time: str
    """When (RFC 3339, UTC, milliseconds)."""
    type: EventType
    """What it tells."""
    stage: Stage | None = None
    """The stage it belongs to."""
    disk: str | None = None
    """The disk it belongs to."""
    message: str | None = None
    """For a person."""
    reason: str | None = None
    """Stable CamelCase word of a warning or failure."""
    hint: str | None = None
    """What to do about a warning or failure."""
    done: int | None = Field(default=None, ge=0)
    """Progress: bytes of the disk that are copied."""
    total: int | None = Field(default=None, ge=0)
    """Progress: bytes of the disk to copy."""
    rate: int | None = Field(default=None, ge=0)
    """Progress: bytes a second, over the last seconds."""
    seconds: float | None = Field(default=None, ge=0)
    """StageFinished: how long the stage took."""
    machine: Machine | None = None
    """Machine: what the source describes."""
    file: str | None = None
    """Report: the file's name. Failed: the file concerned, in the source or in the guest."""
    data: str | None = None
    """Report: the file's content, compressed (zlib, RFC 1950) and in base64."""
    made: Made | None = None
    """Succeeded: what the run has made. It is the last event, as Failed is of a run that failed."""
