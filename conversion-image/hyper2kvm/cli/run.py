"""`h2k run`: the whole pipeline."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click

from hyper2kvm.cli.options import mapped, migration_options
from hyper2kvm.cli.show import shown
from hyper2kvm.events import Events
from hyper2kvm.history import History
from hyper2kvm.pipeline import migrate
from hyper2kvm.prepare import Request, read_request, start
from hyper2kvm.report.write import write_report
from hyper2kvm.stages.documents import Converted, Validated
from hyper2kvm.workspace import Workspace
from hyper2kvm_api.errors import Hyper2kvmError
from hyper2kvm_api.event import EventType
from hyper2kvm_api.migration import BootStatus
from hyper2kvm_api.reasons import REASONS
from hyper2kvm_api.result import DiskResult, Outcome, Result, failure_of


@click.command()
@migration_options
@click.option(
    "--result",
    "result_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for the verdict as JSON of at most 4096 bytes (a pod's termination message).",
)
def run(
    files: tuple[Path, ...],
    volumes: tuple[tuple[str, Path], ...],
    secrets: tuple[tuple[str, Path], ...],
    output: Path,
    workspace: Path | None,
    as_json: bool,
    result_file: Path | None,
) -> None:
    """Migrate the virtual machine of FILES: a VirtualMachineMigration and its profiles, or a plan.json.

    The source is only read. When the command is interrupted or killed, the same command continues where it stopped.
    """
    request = read_request(files, mapped(volumes, secrets, output))
    place = workspace_of(request, output, workspace)
    with running(place, sys.stdout, as_json=as_json) as events:
        result = _migrate(request, place, events, result_file)
    if not as_json and result is not None:
        _summary(place, result)


def workspace_of(request: Request, output: Path, workspace: Path | None) -> Workspace:
    """The workspace that the options mean."""
    return Workspace((workspace or output / f"{request.name}.h2k").absolute())


@contextmanager
def running(workspace: Workspace, stream: TextIO, *, as_json: bool) -> Iterator[Events]:
    """Hold the workspace, show what happens on the stream and keep it in the workspace's history."""
    with workspace.lock(), shown(stream, as_json=as_json) as sink:
        yield Events([sink, History(workspace.folder).add])


def _migrate(request: Request, workspace: Workspace, events: Events, result_file: Path | None) -> Validated | None:
    try:
        work, fetched = start(request, workspace, events)
        workspace.write("plan", work.plan, "")
        validated = migrate(work, fetched)
    except Hyper2kvmError as error:
        events.failed(error)
        _finish(workspace, result_file, _failed(error, events))
        raise
    except KeyboardInterrupt:
        _finish(workspace, result_file, Result(outcome=Outcome.INTERRUPTED, retry=True))
        raise
    events.stage = None
    events.emit(EventType.SUCCEEDED, f"{request.name}: {'examined' if validated is None else 'migrated'}")
    _finish(workspace, result_file, _succeeded(workspace, validated, events))
    return validated


def _finish(workspace: Workspace, result_file: Path | None, result: Result) -> None:
    workspace.write("result", result, "")
    write_report(workspace)
    if result_file is not None:
        result_file.write_text(result.fitted())


def _failed(error: Hyper2kvmError, events: Events) -> Result:
    return Result(
        outcome=Outcome.FAILED,
        retry=REASONS[error.reason].retry,
        failure=failure_of(error, events.stage),
        warnings=_warnings(events),
    )


def _succeeded(workspace: Workspace, validated: Validated | None, events: Events) -> Result:
    converted = workspace.read(Converted, "convert")
    proof = validated.boot if validated else None
    return Result(
        outcome=Outcome.SUCCEEDED,
        disks=tuple(
            DiskResult(id=disk.id, capacity=disk.capacity, digest=disk.digest)
            for disk in (converted.disks if converted and validated else ())
        ),
        boot=BootStatus(verdict="Booted", evidence=proof.evidence, seconds=proof.seconds, accelerator=proof.accelerator)
        if proof
        else BootStatus(verdict="Skipped"),
        warnings=_warnings(events),
    )


def _warnings(events: Events) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{event.reason}: {event.message}" for event in events.warnings))


def _summary(workspace: Workspace, validated: Validated) -> None:
    lines = [f"disk       {path}" for path in validated.disks]
    if validated.domain:
        lines.append(f"domain     {validated.domain}    (virsh define …)")
    if validated.boot:
        proof = validated.boot
        lines.append(f"boot       up after {proof.seconds:.0f} s ({proof.accelerator}, shown by {proof.evidence})")
        if proof.screenshot:
            lines.append(f"screen     {workspace.folder / proof.screenshot}")
    lines.append(f"report     {workspace.folder / 'report.html'}")
    click.echo("\n".join(lines))
