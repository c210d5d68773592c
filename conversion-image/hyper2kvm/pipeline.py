"""The pipeline: six stages in order, each skipped when its document still holds."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeVar

from hyper2kvm.guest.description import Guest
from hyper2kvm.sources.description import Fetched
from hyper2kvm.stages import convert, fetch, fix, flatten, inspect, validate
from hyper2kvm.stages.documents import Converted, Fixed, Flattened, Validated
from hyper2kvm.stages.opened import OpenedDisks
from hyper2kvm.stages.work import Work
from hyper2kvm.workspace import digest
from hyper2kvm_api.document import Document
from hyper2kvm_api.event import EventType
from hyper2kvm_api.migration import Mode
from hyper2kvm_api.stage import Stage

Model = TypeVar("Model", bound=Document)


def migrate(work: Work) -> Validated | None:
    """Run every stage that the plan asks for, continuing where an earlier run stopped.

    Returns:
        What VALIDATE found; None in Plan mode, which ends after FIX has planned.

    Raises:
        Hyper2kvmError: the run failed; the same run again continues from the last whole document.
    """
    with work.workspace.lock(), ExitStack() as closing:
        flattened = read_source(work)
        opened = closing.enter_context(OpenedDisks(work, flattened))
        guest = examine(work, flattened, opened)
        fixed = repair(work, guest, opened)
        closing.pop_all().close()
        if work.plan.mode is Mode.PLAN:
            return None
        converted = _stage(
            work,
            Stage.CONVERT,
            Converted,
            digest(flattened, fixed, *work.plan.disks),
            lambda: convert.convert(work, flattened, fixed),
            holds=convert.holds,
        )
        return _stage(
            work,
            Stage.VALIDATE,
            Validated,
            digest(converted, guest, work.plan),
            lambda: validate.validate(work, guest, converted),
            holds=validate.holds,
        )


def read_source(work: Work) -> Flattened:
    """FETCH and FLATTEN: what the source holds, and how its bytes are read."""
    fetched = _stage(
        work, Stage.FETCH, Fetched, digest(work.plan.source), lambda: fetch.fetch(work), holds=fetch.unchanged
    )
    return _stage(work, Stage.FLATTEN, Flattened, digest(fetched), lambda: flatten.flatten(work, fetched))


def examine(work: Work, flattened: Flattened, opened: OpenedDisks) -> Guest:
    """INSPECT: what is inside the disks."""
    wanted = digest(flattened, work.plan.machine, work.plan.guest)
    return _stage(work, Stage.INSPECT, Guest, wanted, lambda: inspect.inspect(work, opened))


def repair(work: Work, guest: Guest, opened: OpenedDisks) -> Fixed:
    """FIX: plan the edits and, unless the plan's mode is Plan, apply them to fresh overlays."""
    return _stage(
        work,
        Stage.FIX,
        Fixed,
        digest(guest, work.plan.machine, work.plan.guest, work.plan.mode, *work.plan.disks),
        lambda: fix.fix(work, guest, opened),
        holds=opened.overlays_hold,
    )


def _stage(
    work: Work,
    stage: Stage,
    model: type[Model],
    inputs: str,
    produce: Callable[[], Model],
    *,
    holds: Callable[[Model], bool] = lambda _: True,
) -> Model:
    work.events.stage = stage
    started = time.monotonic()

    def announced() -> Model:
        work.events.emit(EventType.STAGE_STARTED)
        return produce()

    document, known = work.workspace.remember(stage.lower(), model, inputs, announced, holds=holds)
    if known:
        work.events.emit(EventType.STAGE_SKIPPED, "done by an earlier run")
    else:
        work.events.emit(EventType.STAGE_FINISHED, seconds=round(time.monotonic() - started, 3))
    return document
