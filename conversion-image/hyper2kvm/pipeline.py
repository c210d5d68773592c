"""The pipeline: six stages in order, each skipped when its document still holds."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from hyper2kvm.disk.targets.opening import refuse_existing
from hyper2kvm.events import Events
from hyper2kvm.guest.description import Guest
from hyper2kvm.sources.description import Fetched
from hyper2kvm.stages import convert, fetch, fix, flatten, inspect, validate
from hyper2kvm.stages.documents import Converted, Fixed, Flattened, Validated
from hyper2kvm.stages.opened import OpenedDisks
from hyper2kvm.stages.work import Work
from hyper2kvm.workspace import Workspace, digest
from hyper2kvm_api.document import Document
from hyper2kvm_api.errors import Hyper2kvmError, SourceError
from hyper2kvm_api.event import EventType
from hyper2kvm_api.migration import Mode
from hyper2kvm_api.plan import PlannedSource
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.stage import Stage

Model = TypeVar("Model", bound=Document)


def describe(source: PlannedSource, workspace: Workspace, events: Events) -> Fetched:
    """FETCH: what the source holds. The caller holds the workspace's lock.

    Raises:
        SourceError, ImageError: the source is missing, damaged or not what it says.
    """
    return _stage(
        workspace,
        events,
        Stage.FETCH,
        Fetched,
        digest(source),
        lambda: fetch.fetch(source, events),
        holds=fetch.unchanged,
    )


def migrate(work: Work, fetched: Fetched) -> Validated | None:
    """The stages after FETCH that the plan asks for, continuing where an earlier run stopped.

    The caller holds the workspace's lock.

    Returns:
        What VALIDATE found; None in Plan mode, which ends when FIX has planned.

    Raises:
        Hyper2kvmError: the run failed; the same run again continues from the last whole document.
    """
    _refuse_existing(work)
    flattened = flat(work, fetched)
    with OpenedDisks(work, flattened) as opened:
        guest = examine(work, flattened, opened)
        fixed = repair(work, guest, opened)
    if work.plan.mode is Mode.PLAN:
        return None
    work = replace(work, plan=work.plan.for_guest(repaired=fixed.applied))
    converted = _stage(
        work.workspace,
        work.events,
        Stage.CONVERT,
        Converted,
        digest(flattened, fixed, *work.plan.disks),
        lambda: _copied(work, fetched, flattened, fixed),
        holds=convert.holds,
    )
    return _stage(
        work.workspace,
        work.events,
        Stage.VALIDATE,
        Validated,
        digest(converted, guest, work.plan),
        lambda: validate.validate(work, guest, converted),
        holds=validate.holds,
    )


def _refuse_existing(work: Work) -> None:
    """Targets that are in the way end a run before its work, not after it."""
    if work.plan.mode is Mode.MIGRATE and work.workspace.read(Converted, Stage.CONVERT.document) is None:
        for disk in work.plan.disks:
            refuse_existing(disk)


def _copied(work: Work, fetched: Fetched, flattened: Flattened, fixed: Fixed) -> Converted:
    converted = convert.convert(work, flattened, fixed)
    if not fetch.unchanged(fetched):
        raise SourceError(
            Reason.SOURCE_CHANGED, f"files in {work.plan.source.path} were changed while they were copied"
        )
    return converted


def flat(work: Work, fetched: Fetched) -> Flattened:
    """FLATTEN: how each disk's bytes are read."""
    return _stage(
        work.workspace,
        work.events,
        Stage.FLATTEN,
        Flattened,
        digest(fetched),
        lambda: flatten.flatten(work, fetched),
    )


def examine(work: Work, flattened: Flattened, opened: OpenedDisks) -> Guest:
    """INSPECT: what is inside the disks."""
    wanted = digest(flattened, work.plan.machine, work.plan.guest)
    return _stage(work.workspace, work.events, Stage.INSPECT, Guest, wanted, lambda: inspect.inspect(work, opened))


def repair(work: Work, guest: Guest, opened: OpenedDisks) -> Fixed:
    """FIX: plan the edits and, unless the plan's mode is Plan, apply them to fresh overlays."""
    return _stage(
        work.workspace,
        work.events,
        Stage.FIX,
        Fixed,
        digest(guest, work.plan.machine, work.plan.guest, work.plan.mode, *work.plan.disks),
        lambda: fix.fix(work, guest, opened),
        holds=opened.overlays_hold,
    )


def _stage(
    workspace: Workspace,
    events: Events,
    stage: Stage,
    model: type[Model],
    inputs: str,
    produce: Callable[[], Model],
    *,
    holds: Callable[[Model], bool] = lambda _: True,
) -> Model:
    events.stage = stage
    started = time.monotonic()

    def announced() -> Model:
        events.emit(EventType.STAGE_STARTED)
        return produce()

    try:
        document, known = workspace.remember(stage.document, model, inputs, announced, holds=holds)
    except Hyper2kvmError as error:
        error.stage = stage
        raise
    if known:
        events.emit(EventType.STAGE_SKIPPED, "done by an earlier run")
    else:
        events.emit(EventType.STAGE_FINISHED, seconds=round(time.monotonic() - started, 3))
    return document
