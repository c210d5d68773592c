"""`h2k report`: the report of a workspace, or of a migration in a cluster."""

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path

import click

from hyper2kvm.modules import lacking
from hyper2kvm.workspace import Workspace

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
        paths = _made(Workspace(folder.absolute(), make=False))
    else:
        output.mkdir(parents=True, exist_ok=True)
        paths = [_written(output, f"{which}-{name}", text) for name, text in _fetch(namespace, which).items()]
    for path in paths:
        click.echo(path)


def _made(workspace: Workspace) -> list[Path]:
    """The report of a workspace. What writes it is loaded here: fetching one from a cluster needs less."""
    try:
        from hyper2kvm.report.write import write_report  # noqa: PLC0415 -- see above
    except ModuleNotFoundError as error:
        raise lacking(error) or error from None
    return list(write_report(workspace))


def _written(folder: Path, name: str, text: str) -> Path:
    path = folder / Path(name).name
    path.write_text(text)
    return path


def _fetch(namespace: str, name: str) -> Mapping[str, str]:
    (entry,) = entry_points(group=CLUSTER_GROUP, name="report")
    try:
        fetch: Callable[[str, str], Mapping[str, str]] = entry.load()
    except ModuleNotFoundError as error:
        raise lacking(error) or error from None
    return fetch(namespace, name)
