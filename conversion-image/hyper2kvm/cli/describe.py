"""`h2k describe`: what the source holds, for the operator to plan with."""

import sys
from pathlib import Path

import click

from hyper2kvm.cli.pod import leave
from hyper2kvm.cli.session import Session, json_option, pass_session
from hyper2kvm.cli.working import working, workspace_of
from hyper2kvm.pipeline import describe as fetch
from hyper2kvm.prepare import Mapped, read_request
from hyper2kvm.sources.opening import source_of
from hyper2kvm_api.event import EventType
from hyper2kvm_api.result import Outcome, Result

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(hidden=True)
@pass_session
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--source-root", type=_FOLDER, required=True, help="Where the source's volume is mounted.")
@click.option("--workspace", type=_FOLDER, required=True, help="Folder for what is found out.")
@json_option("Write JSON lines.")
def describe(session: Session, file: Path, source_root: Path, workspace: Path) -> None:
    """Describe the machine of the migration in FILE as an event, and nothing more."""
    request = read_request([file], Mapped(source_root=source_root))
    place = workspace_of(request, workspace, workspace)
    with working(session, place, sys.stdout) as at_work:
        fetched = fetch(source_of(request.source), place, at_work.events)
        at_work.events.emit(EventType.MACHINE, machine=fetched.machine)
    leave(Result(outcome=Outcome.SUCCEEDED))
