"""The pipeline: six stages in order, each skipped when its document still holds."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from typing import TypeVar

from hyper2kvm.events import Events
from hyper2kvm.guest.description import Guest
from hyper2kvm.sources.description import Fetched, Source, changed_parts
from hyper2kvm.stages import convert, fetch, fix, flatten, inspect, publication, validate
from hyper2kvm.stages.documents import FIX_PLAN, Converted, Fixed, Flattened, Validated
from hyper2kvm.stages.opened import OpenedDisks
from hyper2kvm.stages.work import Work
from hyper2kvm.workspace import Workspace, digest
from hyper2kvm_api.document import Document
from hyper2kvm_api.errors import Hyper2kvmError, SourceError, TargetError
from hyper2kvm_api.event import EventType
from hyper2kvm_api.migration import Mode
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.stage import Stage

Model = TypeVar("Model", bound=Document)

_VERSION = version("hyper2kvm-operator")


def describe(source: Source, workspace: Workspace, events: Events) -> Fetched:
    """FETCH: what the source holds. The caller holds the workspace's lock.

    Raises:
        SourceError, ImageError: the source is missing, damaged or not what it says.
    """
    stop = threading.Event()
    with _stopping(stop):
        return _stage(
            workspace,
            events,
            Stage.FETCH,
            Fetched,
            _made_of(source.key),
            lambda: fetch.fetch(source, events, stop),
            holds=lambda fetched: not changed_parts(source, fetched),
        )


def migrate(work: Work, fetched: Fetched) -> Validated | None:
    """The stages after FETCH that the plan asks for, continuing where an earlier run stopped.

    The caller holds the workspace's lock.

    Returns:
        What VALIDATE found; None in Plan mode, which ends when FIX has planned.

    Raises:
        Hyper2kvmError: the run failed; the same run again continues from the last whole document.
    """
    with _stopping(work.stop):
        if work.plan.mode is Mode.PLAN:
            look(work, fetched)
            return None
        published = publication.earlier(work, fetched)
        guest, fixed, converted = _made(work) if published else _make(work, fetched)
        # The guest that is started and defined has devices that it knows.
        fitted = replace(work, plan=work.plan.for_guest(repaired=fixed.applied))
        validated = _stage(
            work.workspace,
            work.events,
            Stage.VALIDATE,
            Validated,
            digest(converted, guest, fitted.plan),
            lambda: validate.validate(fitted, guest, converted, published=published is not None),
            holds=lambda _: convert.holds(converted),
        )
        with _of(Stage.VALIDATE):
            domain = publication.domain(fitted.plan, guest, converted)
            publication.publish_all(work, fetched, converted, domain, published=published is not None)
        return validated


def look(work: Work, fetched: Fetched) -> tuple[Flattened, Guest, Fixed]:
    """FLATTEN, INSPECT and FIX, in one appliance where one is needed."""
    flattened = flat(work, fetched)
    with OpenedDisks(work, flattened) as opened:
        guest = examine(work, flattened, opened)
        return flattened, guest, repair(work, guest, opened)


def flat(work: Work, fetched: Fetched) -> Flattened:
    """FLATTEN: how each disk's bytes are read."""
    return _stage(
        work.workspace,
        work.events,
        Stage.FLATTEN,
        Flattened,
        _made_of(fetched),
        lambda: flatten.flatten(work, fetched),
        holds=flatten.holds,
    )


def examine(work: Work, flattened: Flattened, opened: OpenedDisks) -> Guest:
    """INSPECT: what is inside the disks."""
    return _stage(
        work.workspace,
        work.events,
        Stage.INSPECT,
        Guest,
        _made_of(flattened, work.plan.machine, work.plan.guest),
        lambda: opened.looking(lambda: inspect.inspect(work, opened)),
    )


def repair(work: Work, guest: Guest, opened: OpenedDisks) -> Fixed:
    """FIX: plan the edits and, unless the plan's mode is Plan, apply them to fresh overlays."""
    planning = work.plan.mode is Mode.PLAN

    def produce() -> Fixed:
        if not planning:
            opened.forget_kept()
        return opened.looking(lambda: fix.fix(work, guest, opened))

    return _stage(
        work.workspace,
        work.events,
        Stage.FIX,
        Fixed,
        _made_of(
            opened.flattened,
            guest,
            work.plan.machine,
            work.plan.guest,
            work.plan.network_model,
            *work.plan.disks,
        ),
        produce,
        holds=opened.overlays_hold,
        name=FIX_PLAN if planning else None,
    )


def _make(work: Work, fetched: Fetched) -> tuple[Guest, Fixed, Converted]:
    flattened, guest, fixed = look(work, fetched)
    converted = _stage(
        work.workspace,
        work.events,
        Stage.CONVERT,
        Converted,
        _made_of(flattened, fixed, *work.plan.disks),
        lambda: _copied(work, fetched, flattened, fixed),
        holds=convert.holds,
    )
    return guest, fixed, converted


def _made(work: Work) -> tuple[Guest, Fixed, Converted]:
    """What the run found and made whose targets are published: none of it is made again."""
    _skipped(work, Stage.FLATTEN, Flattened)
    guest = _skipped(work, Stage.INSPECT, Guest)
    fixed = _skipped(work, Stage.FIX, Fixed)
    return guest, fixed, _skipped(work, Stage.CONVERT, Converted)


def _skipped(work: Work, stage: Stage, model: type[Model]) -> Model:
    document = work.workspace.read(model, stage.document)
    if document is None:
        message = (
            f"the targets were finished by an earlier run, whose {stage.document}.json is no longer in the workspace"
        )
        raise TargetError(Reason.TARGET_PUBLISHED, message)
    work.events.stage = stage
    work.events.emit(EventType.STAGE_SKIPPED, "done by an earlier run")
    return document


def _copied(work: Work, fetched: Fetched, flattened: Flattened, fixed: Fixed) -> Converted:
    # The same bytes make the same document again, for which the proof of copies that are gone would still hold.
    work.workspace.forget(Stage.VALIDATE.document)
    converted = convert.convert(work, flattened, fixed)
    changed = changed_parts(work.source, fetched)
    if changed:
        raise SourceError(Reason.SOURCE_CHANGED, f"{', '.join(changed)}: changed while it was copied", file=changed[0])
    return converted


def _made_of(*documents: Document | str) -> str:
    """Inputs of a stage. Another version of the program may make something else of the same ones."""
    return digest(_VERSION, *documents)


@contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    """Whatever ends the block early ends the threads that work for it."""
    try:
        yield
    except BaseException:
        stop.set()
        raise


@contextmanager
def _of(stage: Stage) -> Iterator[None]:
    """Errors in the block are the stage's."""
    try:
        yield
    except Hyper2kvmError as error:
        error.stage = stage
        raise


def _stage(
    workspace: Workspace,
    events: Events,
    stage: Stage,
    model: type[Model],
    inputs: str,
    produce: Callable[[], Model],
    *,
    holds: Callable[[Model], bool] = lambda _: True,
    name: str | None = None,
) -> Model:
    events.stage = stage
    started = time.monotonic()

    def announced() -> Model:
        events.emit(EventType.STAGE_STARTED)
        return produce()

    with _of(stage):
        document, known = workspace.remember(name or stage.document, model, inputs, announced, holds=holds)
    if known:
        events.emit(EventType.STAGE_SKIPPED, "done by an earlier run")
    else:
        events.emit(EventType.STAGE_FINISHED, seconds=round(time.monotonic() - started, 3))
    return document
