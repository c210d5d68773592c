"""`h2k describe`: what the source holds, for the operator to plan with."""

import sys
from pathlib import Path

import click

from hyper2kvm.cli.pod import leave
from hyper2kvm.cli.run import running, workspace_of
from hyper2kvm.pipeline import describe as fetch
from hyper2kvm.prepare import Mapped, read_request
from hyper2kvm.sources.opening import source_of
from hyper2kvm_api.event import EventType
from hyper2kvm_api.result import Outcome, Result

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(hidden=True)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--source-root", type=_FOLDER, required=True, help="Where the source's volume is mounted.")
@click.option("--workspace", type=_FOLDER, required=True, help="Folder for what is found out.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON lines.")
def describe(file: Path, source_root: Path, workspace: Path, as_json: bool) -> None:
    """Describe the machine of the migration in FILE as an event, and nothing more."""
    request = read_request([file], Mapped(source_root=source_root))
    place = workspace_of(request, workspace, workspace)
    with running(place, sys.stdout, as_json=as_json) as events:
        fetched = fetch(source_of(request.source), place, events)
        events.emit(EventType.MACHINE, machine=fetched.machine)
    leave(Result(outcome=Outcome.SUCCEEDED))
