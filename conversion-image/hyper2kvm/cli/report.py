"""`h2k report`: the report of a workspace, or of a migration in a cluster."""

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path

import click

from hyper2kvm.report.write import write_report
from hyper2kvm.workspace import Workspace
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason

CLUSTER_GROUP = "hyper2kvm.cluster"
"""Entry points of what the operator's package adds. `report` is a function of namespace and name → files."""


@click.command()
@click.argument("which", metavar="WORKSPACE|NAME")
@click.option("--namespace", "-n", help="Fetch the report of the migration NAME in this namespace of the cluster.")
@click.option(
    "--output",
    "-o",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    show_default="the current folder",
    help="With --namespace: the folder to write the files to.",
)
def report(which: str, namespace: str | None, output: Path) -> None:
    """Write report.json and report.html, and print where they are.

    Of a WORKSPACE the report is made anew; a run does this at its end. With --namespace it is fetched from a cluster.
    """
    if namespace is None:
        folder = Path(which)
        if not folder.is_dir():
            raise click.BadParameter(f"{which!r} is no folder; a migration in a cluster needs --namespace")
        paths = list(write_report(Workspace(folder.absolute())))
    else:
        output.mkdir(parents=True, exist_ok=True)
        paths = [_written(output, f"{which}-{name}", text) for name, text in _fetch(namespace, which).items()]
    for path in paths:
        click.echo(path)


def _written(folder: Path, name: str, text: str) -> Path:
    path = folder / Path(name).name
    path.write_text(text)
    return path


def _fetch(namespace: str, name: str) -> Mapping[str, str]:
    for entry in entry_points(group=CLUSTER_GROUP, name="report"):
        try:
            fetch: Callable[[str, str], Mapping[str, str]] = entry.load()
        except ImportError:
            break
        return fetch(namespace, name)
    raise HostError(
        Reason.PROGRAM_MISSING,
        "this installation cannot talk to a cluster",
        hint="Install the extra `operator`: pip install 'hyper2kvm-operator[operator]'.",
    )
