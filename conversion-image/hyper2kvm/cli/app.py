"""The group of commands. Each is loaded when it is called: an installation need not have what the others need."""

import os
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points

import click

from hyper2kvm import interruption
from hyper2kvm.cli.ending import as_failure, end, end_interrupted, end_wrong_call
from hyper2kvm.cli.session import Session
from hyper2kvm.modules import lacking
from hyper2kvm.privileges import drop
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import EXIT_INTERRUPTED, Category

COMMAND_GROUP = "hyper2kvm.commands"
"""Entry points under this name add commands: those that need a cluster come with the operator's package."""

_OWN = {
    "boot": "hyper2kvm.cli.boot:boot",
    "describe": "hyper2kvm.cli.describe:describe",
    "doctor": "hyper2kvm.cli.doctor:doctor",
    "fix": "hyper2kvm.cli.examine:fix",
    "inspect": "hyper2kvm.cli.examine:inspect",
    "plan": "hyper2kvm.cli.examine:plan",
    "report": "hyper2kvm.cli.report:report",
    "run": "hyper2kvm.cli.run:run",
    "serve": "hyper2kvm.cli.serve:serve",
}

_HIDDEN = {"describe"}
"""Commands that only the operator's pods start."""

_EXIT_CODES = "\n".join(f"  {c.exit_code:>3}  {c.name.lower()}" for c in Category)


class Unavailable(click.Command):
    """A command that lacks a module: whatever it is called with, it says which, and what installs it."""

    def __init__(self, name: str, error: HostError) -> None:
        super().__init__(
            name,
            params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
            context_settings={"ignore_unknown_options": True, "help_option_names": []},
            short_help=f"(not possible: {error.message})",
            hidden=name in _HIDDEN,
        )
        self.error = error

    def invoke(self, ctx: click.Context) -> None:
        """Raises HostError (ModuleMissing)."""
        ctx.ensure_object(Session).json = "--json" in ctx.params["arguments"]
        raise self.error


class Interruption(Exception):  # noqa: N818 -- no error
    """Ctrl-C or SIGTERM, past click, which would make an Abort of it that says nothing."""


class Commands(click.Group):
    """The commands of this package, and those that entry points add."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click passes it
        """Their names."""
        return sorted(_places())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- as above
        """Load one; None when there is none of the name."""
        place = _places().get(cmd_name)
        if place is None:
            return None
        try:
            command: click.Command = place.load()
        except ModuleNotFoundError as error:
            missing = lacking(error)
            if missing is None:
                raise
            return Unavailable(cmd_name, missing)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interruption from None


def _places() -> Mapping[str, EntryPoint]:
    own = {name: EntryPoint(name, value, COMMAND_GROUP) for name, value in _OWN.items()}
    return {entry.name: entry for entry in entry_points(group=COMMAND_GROUP)} | own


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog=f"Exit codes: 0 success, {EXIT_INTERRUPTED} interrupted, otherwise by the kind of failure:\n\n\b\n{_EXIT_CODES}",
)
@click.version_option(package_name="hyper2kvm-operator", prog_name="h2k")
def app() -> None:
    """Take virtual machines off VMware, Hyper-V and the clouds and make them boot under KVM and KubeVirt."""


def main() -> None:
    """The entry point of `h2k`."""
    interruption.handle()
    session = Session()
    try:
        drop()
        app(obj=session, standalone_mode=False)
    except (Interruption, KeyboardInterrupt, click.Abort):
        sys.exit(end_interrupted(session))
    except click.ClickException as error:
        sys.exit(end_wrong_call(session, error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 -- the last place: what nobody thought of is told as such
        sys.exit(end(session, as_failure(error, session.workspace)))
