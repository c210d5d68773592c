"""`h2k doctor`: what this machine can do, and what to install."""

import tempfile
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from hyper2kvm.doctor import Check, Place, checks
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object a check.")
def doctor(as_json: bool) -> None:
    """Say what this machine can do (KVM proven or not, the appliance, tools, space) and what to install."""
    console = Console(highlight=False, soft_wrap=True)
    places = [Place("targets in the current folder", Path.cwd()), Place("temporary files", Path(tempfile.gettempdir()))]
    ill = []
    for check in checks(places):
        if as_json:
            click.echo(check.to_json())
        else:
            console.print(_line(check))
        if check.needed and not check.well:
            ill.append(check.name)
    if ill:
        raise HostError(Reason.PROGRAM_MISSING, f"migrations do not work here: {', '.join(ill)}")


def _line(check: Check) -> str:
    sign = "[green]✓[/]" if check.well else "[red]✗[/]" if check.needed else "[yellow]![/]"
    remedy = "" if check.well or not check.remedy else f"\n    {escape(check.remedy)}"
    return f"{sign} {escape(check.name):32} {escape(check.found)}{remedy}"
