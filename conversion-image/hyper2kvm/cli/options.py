"""Options that several commands share."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from hyper2kvm.cli.session import json_option
from hyper2kvm.cli.working import workspace_of
from hyper2kvm.prepare import Mapped, Request, read_request
from hyper2kvm.workspace import Workspace

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


@dataclass(frozen=True)
class Given:
    """What the options say: which migration is meant, and where this machine holds what its manifests name."""

    files: tuple[Path, ...]
    mapped: Mapped
    folder: Path | None

    def request(self) -> Request:
        """The migration, or the plan of one. Raises as `read_request`."""
        return read_request(self.files, self.mapped)

    def workspace(self, request: Request) -> Workspace:
        """Its workspace, made where there is none. Raises HostError."""
        return workspace_of(request, self.mapped.output, self.folder)


def migration_options(command: Command) -> Command:
    """Add the arguments that say which migration is meant and where things lie. The command is called with a Given."""

    @wraps(command)
    def collected(
        *arguments: object,
        files: tuple[Path, ...],
        volumes: tuple[tuple[str, Path], ...],
        secrets: tuple[tuple[str, Path], ...],
        output: Path,
        workspace: Path | None,
        **own: object,
    ) -> object:
        given = Given(files, Mapped(dict(volumes), dict(secrets), output), workspace)
        return command(*arguments, given, **own)

    made = cast("Command", collected)
    for option in reversed(_OPTIONS):
        made = option(made)
    return made
