"""`h2k report`: the report of a workspace."""

from pathlib import Path

import click

from hyper2kvm.report.write import write_report
from hyper2kvm.workspace import Workspace


@click.command()
@click.argument("workspace", type=click.Path(exists=True, file_okay=False, path_type=Path))
def report(workspace: Path) -> None:
    """Write report.json and report.html of WORKSPACE, and print where they are. A run does this at its end."""
    for path in write_report(Workspace(workspace.absolute())):
        click.echo(path)
