"""`h2k run`: the whole pipeline."""

import sys

import click

from hyper2kvm.cli.ending import as_failure
from hyper2kvm.cli.options import Given, migration_options
from hyper2kvm.cli.pod import leave, result_of, tell_report
from hyper2kvm.cli.session import Session, pass_session
from hyper2kvm.cli.working import Working, working
from hyper2kvm.events import Events, failure_event, now
from hyper2kvm.guest.description import Guest
from hyper2kvm.pipeline import migrate
from hyper2kvm.prepare import Request, start
from hyper2kvm.report.write import write_report
from hyper2kvm.stages.documents import Converted, Fixed, Validated
from hyper2kvm.workspace import Workspace
from hyper2kvm_api.errors import HostError, Hyper2kvmError
from hyper2kvm_api.event import Event, EventType, Made
from hyper2kvm_api.migration import BootStatus
from hyper2kvm_api.result import DiskResult, Outcome, Result
from hyper2kvm_api.stage import Stage
from hyper2kvm_api.text import printable

RESULT = "result"
"""Name of the document with the verdict of the last run."""


@click.command()
@pass_session
@migration_options
def run(session: Session, given: Given) -> None:
    """Migrate the virtual machine of FILES: a VirtualMachineMigration and its profiles, or what `h2k plan` printed.

    The source is only read. When the command is interrupted or killed, the same command continues where it stopped.
    """
    session.json |= not sys.stdout.isatty()
    request = given.request()
    place = given.workspace(request)
    with working(session, place, sys.stdout) as at_work:
        result, ending = _run(session, request, place, at_work)
    leave(result)
    if not session.json and ending.made is not None:
        _summary(ending.made)


def warnings(events: Events) -> tuple[str, ...]:
    """What was warned of, each once."""
    return tuple(dict.fromkeys(f"{event.reason}: {event.message}" for event in events.warnings))


def _run(session: Session, request: Request, place: Workspace, at_work: Working) -> tuple[Result, Event]:
    events = at_work.events
    try:
        validated = _migrate(request, place, events)
        result = _succeeded(place, validated, events)
    except KeyboardInterrupt:
        _keep_if_possible(place, Result(outcome=Outcome.INTERRUPTED, retry=True), None, at_work)
        raise
    except Exception as error:
        failure = as_failure(error, place.folder)
        failure.stage = failure.stage or events.stage
        session.result = result_of(failure, warnings(events))
        session.ending = failure_event(failure)
        _keep_if_possible(place, session.result, session.ending, at_work)
        raise failure from error
    done = f"{request.name}: {'examined' if validated is None else 'migrated'}"
    ending = Event(time=now(), type=EventType.SUCCEEDED, message=done, made=_made(place, validated, result))
    _keep(place, result, ending, at_work)
    at_work.show(ending)
    return result, ending


def _migrate(request: Request, workspace: Workspace, events: Events) -> Validated | None:
    workspace.forget(RESULT)
    work, fetched = start(request, workspace, events)
    validated = migrate(work, fetched)
    events.stage = None
    return validated


def _keep(place: Workspace, result: Result, ending: Event | None, at_work: Working) -> None:
    """Keep the verdict and the report. The last event is in both, and shown after everything else."""
    place.release()
    if ending is not None:
        at_work.history.add(ending)
    place.write(RESULT, result, "")
    tell_report(at_work.events, write_report(place))


def _keep_if_possible(place: Workspace, result: Result, ending: Event | None, at_work: Working) -> None:
    """Keep what can be kept of a run that did not succeed. What hinders that is told, and hides nothing."""
    try:
        _keep(place, result, ending, at_work)
    except (Hyper2kvmError, OSError) as error:
        at_work.show(
            Event(
                time=now(),
                type=EventType.WARNING,
                reason="ReportNotWritten",
                message=str(error),
                hint=f"Make room, then: h2k report {place.folder}" if isinstance(error, HostError) else None,
            )
        )


def _succeeded(workspace: Workspace, validated: Validated | None, events: Events) -> Result:
    converted = workspace.read(Converted, Stage.CONVERT.document) if validated else None
    guest = workspace.read(Guest, Stage.INSPECT.document)
    fixed = workspace.read(Fixed, Stage.FIX.document) if validated else None
    proof = validated.boot if validated else None
    boot = BootStatus(verdict="Skipped")
    if proof is not None:
        boot = BootStatus(
            verdict="Booted", evidence=proof.evidence, seconds=proof.seconds, accelerator=proof.accelerator
        )
    disks = converted.disks if converted else ()
    return Result(
        outcome=Outcome.SUCCEEDED,
        disks=tuple(DiskResult(id=disk.id, capacity=disk.capacity, digest=disk.digest) for disk in disks),
        boot=boot,
        firmware=guest.firmware if guest else None,
        boot_disk=guest.boot_disk if guest else None,
        repaired=fixed.applied if fixed else None,
        warnings=warnings(events),
    )


def _made(workspace: Workspace, validated: Validated | None, result: Result) -> Made:
    proof = validated.boot if validated else None
    return Made(
        disks=validated.disks if validated else (),
        domain=validated.domain if validated else None,
        boot=result.boot if proof else None,
        screenshot=str(workspace.folder / proof.screenshot) if proof and proof.screenshot else None,
        report=str(workspace.folder / "report.html"),
    )


def _summary(made: Made) -> None:
    lines = [f"disk       {path}" for path in made.disks]
    if made.domain:
        lines.append(f"domain     {made.domain}    (virsh define …)")
    if made.boot:
        boot = made.boot
        lines.append(f"boot       up after {boot.seconds or 0:.0f} s ({boot.accelerator}, shown by {boot.evidence})")
    if made.screenshot:
        lines.append(f"screen     {made.screenshot}")
    lines.append(f"report     {made.report}")
    click.echo(printable("\n".join(lines)))
