"""Report: everything about a migration in one document, built from the workspace's documents and events. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from hyper2kvm.guest.description import Guest
from hyper2kvm.sources.description import Fetched
from hyper2kvm.stages.documents import Converted, Fixed, Flattened, Validated
from hyper2kvm.workspace import Identity
from hyper2kvm_api.document import Document
from hyper2kvm_api.event import Event, EventType
from hyper2kvm_api.plan import Plan
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
    return Report(
        version=version,
        name=known.name,
        namespace=known.namespace,
        outcome=documents.result.outcome if documents.result else None,
        started=events[0].time if events else None,
        finished=events[-1].time if events else None,
        stages=tuple(_stage(stage, events) for stage in Stage),
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


def _stage(stage: Stage, events: Sequence[Event]) -> StageReport:
    own = [event for event in events if event.stage is stage]
    finished = [event for event in own if event.type is EventType.STAGE_FINISHED]
    if not own:
        return StageReport(stage=stage, state="not reached")
    if own[-1].type is EventType.FAILED:
        return StageReport(stage=stage, state="failed")
    if own[-1].type is EventType.STAGE_STARTED or not finished:
        return StageReport(stage=stage, state="unfinished")
    return StageReport(stage=stage, state="done", seconds=finished[-1].seconds)


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
