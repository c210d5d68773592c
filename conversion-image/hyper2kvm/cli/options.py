"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from hyper2kvm.cli.session import json_option
from hyper2kvm.prepare import Mapped

Command = TypeVar("Command", bound=Callable[..., Any])


class Mapping(click.ParamType[tuple[str, Path]]):
    """NAME=FOLDER."""

    name = "NAME=FOLDER"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Path]:
        """The name and the folder, which must exist."""
        if isinstance(value, tuple):
            return value
        name, separator, folder = str(value).partition("=")
        if not separator or not name or not Path(folder).is_dir():
            self.fail(f"{value!r} is not NAME=FOLDER with an existing folder", param, ctx)
        return name, Path(folder)


_OPTIONS = (
    click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)),
    click.option(
        "--volume",
        "volumes",
        multiple=True,
        type=Mapping(),
        help="Where the content of a volume that the manifest names lies here: a claim's name, or server:/path of NFS.",
    ),
    click.option(
        "--secret",
        "secrets",
        multiple=True,
        type=Mapping(),
        help="Where the values of a Secret that the manifest names lie here, a file a key.",
    ),
    click.option(
        "--output",
        "-o",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path(),
        show_default="the current folder",
        help="Folder for the target disks and the libvirt domain.",
    ),
    click.option(
        "--workspace",
        "-w",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder that keeps the progress and the report.  [default: OUTPUT/NAME.h2k]",
    ),
    json_option("Write JSON lines instead of progress bars."),
)


def migration_options(command: Command) -> Command:
    """Add the arguments that say which migration is meant and where things lie."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def mapped(volumes: tuple[tuple[str, Path], ...], secrets: tuple[tuple[str, Path], ...], output: Path) -> Mapped:
    """What the options say of this machine."""
    return Mapped(dict(volumes), dict(secrets), output)
