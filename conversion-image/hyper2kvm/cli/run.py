"""`h2k run`: the whole pipeline."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click

from hyper2kvm.cli.options import mapped, migration_options
from hyper2kvm.cli.pod import failed, leave, tell_report
from hyper2kvm.cli.show import shown
from hyper2kvm.events import Events
from hyper2kvm.guest.description import Guest
from hyper2kvm.history import History
from hyper2kvm.pipeline import migrate
from hyper2kvm.prepare import Request, read_request, start
from hyper2kvm.report.write import write_report
from hyper2kvm.stages.documents import Converted, Fixed, Validated
from hyper2kvm.workspace import Workspace
from hyper2kvm_api.errors import Hyper2kvmError
from hyper2kvm_api.event import EventType
from hyper2kvm_api.migration import BootStatus
from hyper2kvm_api.result import DiskResult, Outcome, Result
from hyper2kvm_api.stage import Stage


@click.command()
@migration_options
def run(
    files: tuple[Path, ...],
    volumes: tuple[tuple[str, Path], ...],
    secrets: tuple[tuple[str, Path], ...],
    output: Path,
    workspace: Path | None,
    as_json: bool,
) -> None:
    """Migrate the virtual machine of FILES: a VirtualMachineMigration and its profiles, or a plan.json.

    The source is only read. When the command is interrupted or killed, the same command continues where it stopped.
    """
    request = read_request(files, mapped(volumes, secrets, output))
    place = workspace_of(request, output, workspace)
    with running(place, sys.stdout, as_json=as_json) as events:
        result = Result(outcome=Outcome.INTERRUPTED, retry=True)
        try:
            validated = _migrate(request, place, events)
            result = _succeeded(place, validated, events)
        except Hyper2kvmError as error:
            events.failed(error)
            result = failed(error, warnings(events))
            raise
        finally:
            place.write("result", result, "")
            tell_report(events, write_report(place))
    leave(result)
    if not as_json and validated is not None:
        _summary(place, validated)


def workspace_of(request: Request, output: Path, workspace: Path | None) -> Workspace:
    """The workspace that the options mean."""
    return Workspace((workspace or output / f"{request.name}.h2k").absolute())


@contextmanager
def running(workspace: Workspace, stream: TextIO, *, as_json: bool) -> Iterator[Events]:
    """Hold the workspace, show what happens on the stream and keep it in the workspace's history."""
    with workspace.lock(), shown(stream, as_json=as_json) as sink:
        yield Events([sink, History(workspace.folder).add])


def warnings(events: Events) -> tuple[str, ...]:
    """What was warned of, each once."""
    return tuple(dict.fromkeys(f"{event.reason}: {event.message}" for event in events.warnings))


def _migrate(request: Request, workspace: Workspace, events: Events) -> Validated | None:
    work, fetched = start(request, workspace, events)
    workspace.write("plan", work.plan, "")
    validated = migrate(work, fetched)
    events.stage = None
    events.emit(EventType.SUCCEEDED, f"{request.name}: {'examined' if validated is None else 'migrated'}")
    return validated


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
