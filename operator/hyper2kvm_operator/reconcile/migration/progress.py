"""What a conversion pod tells on its standard output, read from the end of its log."""

import base64
import binascii
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pydantic

from hyper2kvm_api.event import Event, EventType
from hyper2kvm_api.machine import Machine
from hyper2kvm_api.migration import DiskStatus
from hyper2kvm_api.stage import Stage

MAX_REPORT = 900 * 1024
"""Bytes of one file of a report: a ConfigMap holds 1 MiB in all."""


REPORT_FILE = "report.json"
"""Name of the report for programs."""


class _ReportedDisk(pydantic.BaseModel):
    id: str
    digest: str


class _Converted(pydantic.BaseModel):
    disks: list[_ReportedDisk]


class _ReportedDisks(pydantic.BaseModel):
    """The part of report.json that is read."""

    converted: _Converted | None = None


@dataclass(frozen=True)
class Progress:
    """Where a pod stands.

    Attributes:
        stage: the stage that it works on.
        disks: bytes copied and in all, by disk id; what is read back afterwards does not count.
        rate: bytes a second, of all disks together.
        warnings: what it warned of, `Reason: message`.
        seconds: how long each stage took that it has ended.
    """

    stage: str | None = None
    disks: dict[str, tuple[int, int]] = field(default_factory=dict)
    rate: int = 0
    warnings: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)

    def disk_status(self, status: DiskStatus) -> DiskStatus:
        """A disk's status with these numbers."""
        if status.id not in self.disks:
            return status
        copied, total = self.disks[status.id]
        return status.replaced(copied=copied, total=total)


def copied_percent(disks: Sequence[DiskStatus]) -> int | None:
    """Share of the bytes that are copied, 0 to 100; None before copying starts.

    A disk that has not told how much there is to copy counts whole: what is told does not fall when it does.
    """
    if all(disk.total is None for disk in disks):
        return None
    total = sum((disk.capacity or 0) if disk.total is None else disk.total for disk in disks)
    return min(100, 100 * sum(disk.copied or 0 for disk in disks) // total) if total else None


def read_events(log: str) -> Iterator[Event]:
    """The events in a log; other lines (and a first line that is cut) are passed over."""
    for line in log.splitlines():
        if not line.startswith("{"):
            continue
        try:
            yield Event.model_validate_json(line)
        except pydantic.ValidationError:
            continue


def read_progress(log: str) -> Progress:
    """Where a pod stands, from the end of its log."""
    stage: str | None = None
    disks: dict[str, tuple[int, int]] = {}
    rates: dict[str, int] = {}
    warnings: dict[str, None] = {}
    seconds: dict[str, float] = {}
    for event in read_events(log):
        stage = event.stage.value if event.stage else stage
        if event.type is EventType.PROGRESS and event.stage is Stage.CONVERT and event.disk is not None:
            disks[event.disk] = (event.done or 0, event.total or 0)
            rates[event.disk] = event.rate or 0
        elif event.type is EventType.WARNING:
            warnings[f"{event.reason}: {event.message}"] = None
        elif event.type is EventType.STAGE_FINISHED and event.stage is not None:
            seconds[event.stage.value] = event.seconds or 0.0
    moving = sum(rate for disk, rate in rates.items() if disks[disk][0] < disks[disk][1])
    return Progress(stage, disks, moving, tuple(warnings), seconds)


def read_machine(log: str) -> Machine | None:
    """The machine that a plan pod has told, or None."""
    told = [event.machine for event in read_events(log) if event.type is EventType.MACHINE and event.machine]
    return told[-1] if told else None


def read_report(log: str) -> tuple[tuple[str, str], ...]:
    """The files of the report that a pod has written into its log: names and contents."""
    files: dict[str, str] = {}
    for event in read_events(log):
        if event.type is EventType.REPORT and event.file and event.data:
            text = _unpacked(event.data)
            if text is not None:
                files[event.file] = text
    return tuple(files.items())


def read_digests(report: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The digests of the finished disks, by disk id, from a report: a verdict has no room for those of many disks."""
    try:
        told = _ReportedDisks.model_validate_json(dict(report).get(REPORT_FILE, "{}"))
    except pydantic.ValidationError:
        return {}
    return {disk.id: disk.digest for disk in told.converted.disks} if told.converted else {}


def _unpacked(data: str) -> str | None:
    try:
        unpacking = zlib.decompressobj()
        content = unpacking.decompress(base64.b64decode(data, validate=True), MAX_REPORT)
    except (zlib.error, binascii.Error):
        return None
    return None if unpacking.unconsumed_tail else content.decode(errors="replace")
