"""`h2k doctor`: what this machine can do, and what to install."""

import tempfile
from pathlib import Path

import click
from rich.console import Console

from hyper2kvm.cli.session import Session, json_option, pass_session
from hyper2kvm.cli.show import safe
from hyper2kvm.doctor import Check, Place, checks
from hyper2kvm_api.errors import CLASSES
from hyper2kvm_api.reasons import REASONS

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@pass_session
@click.option(
    "--output", "-o", type=_FOLDER, default=Path(), show_default="the current folder", help="Where targets go."
)
@click.option("--workspace", "-w", type=_FOLDER, help="Where workspaces go.  [default: OUTPUT]")
@json_option("Write one JSON object a check.")
def doctor(session: Session, output: Path, workspace: Path | None) -> None:
    """Say what this machine can do (KVM proven or not, the appliance, tools, space) and what to install."""
    console = Console(highlight=False, soft_wrap=True)
    places = [
        Place("targets", output.absolute()),
        Place("the workspace", (workspace or output).absolute()),
        Place("temporary files", Path(tempfile.gettempdir())),
    ]
    ill = []
    for check in checks(places):
        if session.json:
            click.echo(check.to_json())
        else:
            console.print(_line(check))
        if check.needed and not check.well:
            ill.append(check)
    if ill:
        first = ill[0]
        kind = CLASSES[REASONS[first.reason].category]
        raise kind(
            first.reason, f"migrations do not work here: {', '.join(each.name for each in ill)}", hint=first.remedy
        )


def _line(check: Check) -> str:
    sign = "[green]✓[/]" if check.well else "[red]✗[/]" if check.needed else "[yellow]![/]"
    remedy = "" if check.well or not check.remedy else f"\n    {safe(check.remedy)}"
    return f"{sign} {safe(check.name):32} {safe(check.found)}{remedy}"
