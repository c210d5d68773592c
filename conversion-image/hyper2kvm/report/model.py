"""Report: everything about a migration in one document, built from the workspace's documents and events. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from hyper2kvm.guest.description import Guest
from hyper2kvm.sources.description import Fetched
from hyper2kvm.stages.documents import Converted, Fixed, Flattened, Validated
from hyper2kvm.workspace import Identity
from hyper2kvm_api.document import Document
from hyper2kvm_api.event import Event, EventType
from hyper2kvm_api.plan import Plan
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.result import Outcome, Result
from hyper2kvm_api.stage import Stage


@dataclass(frozen=True)
class Documents:
    """What a workspace holds; None where a stage has not ended."""

    identity: Identity | None
    plan: Plan | None
    result: Result | None
    fetched: Fetched | None
    flattened: Flattened | None
    guest: Guest | None
    fixed: Fixed | None
    converted: Converted | None
    validated: Validated | None


class StageReport(Document):
    """How a stage went."""

    stage: Stage
    state: str
    """`done`, `failed`, `unfinished` or `not reached`."""
    seconds: float | None = None
    """How long the run took that ended it."""


class Warned(Document):
    """Something that a user should know."""

    reason: str
    message: str
    hint: str | None = None
    stage: Stage | None = None


class BootOutcome(StrEnum):
    """How the boot check of the last run ended."""

    BOOTED = "Booted"
    FAILED = "Failed"
    SKIPPED = "Skipped"


class DiskReport(Document):
    """Where a copied disk is."""

    id: str
    """The disk's id in the machine."""
    path: str
    """Absolute path of what is there now."""
    finished: bool
    """Whether it was proved and has its final name."""


class Report(Document):
    """A migration, for people and programs."""

    version: str
    """Version of hyper2kvm-operator."""
    name: str
    namespace: str
    outcome: Outcome | None = None
    """None while a run goes on or after one was killed."""
    started: str | None = None
    """When the first run started (RFC 3339)."""
    finished: str | None = None
    """When the last event was told (RFC 3339)."""
    stages: tuple[StageReport, ...]
    boot: BootOutcome | None = None
    """How the boot check ended; absent when the last run did not come to it, or was stopped in it."""
    disks: tuple[DiskReport, ...] = ()
    """The copied disks."""
    omitted: int = 0
    """Changes that are left out of `fixed` here, where there are very many: `fix.json` in the workspace has all."""
    plan: Plan | None = None
    result: Result | None = None
    fetched: Fetched | None = None
    flattened: Flattened | None = None
    guest: Guest | None = None
    fixed: Fixed | None = None
    converted: Converted | None = None
    validated: Validated | None = None
    warnings: tuple[Warned, ...] = ()


def build(documents: Documents, events: Sequence[Event], version: str) -> Report:
    """The report of what the documents and events tell."""
    plan = documents.plan
    known = plan or documents.identity or Identity(name="unknown", namespace="unknown")
    stages = tuple(_stage(stage, events, _document(documents, stage)) for stage in Stage)
    return Report(
        version=version,
        name=known.name,
        namespace=known.namespace,
        outcome=documents.result.outcome if documents.result else None,
        started=events[0].time if events else None,
        finished=events[-1].time if events else None,
        stages=stages,
        boot=_boot(documents, stages[-1]),
        disks=_disks(documents),
        plan=plan,
        result=documents.result,
        fetched=documents.fetched,
        flattened=documents.flattened,
        guest=documents.guest,
        fixed=documents.fixed,
        converted=documents.converted,
        validated=documents.validated,
        warnings=_warnings(events),
    )


def _document(documents: Documents, stage: Stage) -> Document | None:
    return {
        Stage.FETCH: documents.fetched,
        Stage.FLATTEN: documents.flattened,
        Stage.INSPECT: documents.guest,
        Stage.FIX: documents.fixed,
        Stage.CONVERT: documents.converted,
        Stage.VALIDATE: documents.validated,
    }[stage]


def _stage(stage: Stage, events: Sequence[Event], document: Document | None) -> StageReport:
    """How a stage went in the last run; one that it did not come to may have been done before, and still hold."""
    last = [event for event in events[_last_start(events) :] if event.stage is stage]
    finished = [event for event in events if event.stage is stage and event.type is EventType.STAGE_FINISHED]
    if last and last[-1].type is EventType.FAILED:
        return StageReport(stage=stage, state="failed")
    ended = any(event.type in {EventType.STAGE_FINISHED, EventType.STAGE_SKIPPED} for event in last)
    if last and not ended:
        return StageReport(stage=stage, state="unfinished")
    if finished and (ended or document is not None):
        return StageReport(stage=stage, state="done", seconds=finished[-1].seconds)
    return StageReport(stage=stage, state="not reached")


def _last_start(events: Sequence[Event]) -> int:
    """Index of the first event of the last run: each begins with FETCH, be it that it is done already."""
    begins = {EventType.STAGE_STARTED, EventType.STAGE_SKIPPED}
    starts = [n for n, event in enumerate(events) if event.stage is Stage.FETCH and event.type in begins]
    return starts[-1] if starts else 0


def _boot(documents: Documents, validate: StageReport) -> BootOutcome | None:
    """Decided by what VALIDATE says: evidence of an earlier check may still lie in the workspace."""
    if validate.state == "done" and documents.validated is not None:
        return BootOutcome.BOOTED if documents.validated.boot else BootOutcome.SKIPPED
    failure = documents.result.failure if documents.result else None
    failed = failure is not None and failure.reason in {Reason.BOOT_FAILED, Reason.BOOT_TIMED_OUT}
    return BootOutcome.FAILED if validate.state == "failed" and failed else None


def _disks(documents: Documents) -> tuple[DiskReport, ...]:
    finished = documents.validated is not None
    disks = documents.converted.disks if documents.converted else ()
    return tuple(
        DiskReport(id=disk.id, path=disk.target if finished else disk.written, finished=finished) for disk in disks
    )


def _warnings(events: Sequence[Event]) -> tuple[Warned, ...]:
    """Each warning once, however many runs told it."""
    found = {
        (event.reason, event.message): Warned(
            reason=event.reason or "Warning", message=event.message or "", hint=event.hint, stage=event.stage
        )
        for event in events
        if event.type is EventType.WARNING
    }
    return tuple(found.values())
