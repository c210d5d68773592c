"""The group of commands, and how a command ends: one clear error, and an exit code that tells its kind."""

import os
import signal
import sys
from contextlib import suppress
from importlib.metadata import entry_points
from types import FrameType

import click

from hyper2kvm.cli.boot import boot
from hyper2kvm.cli.describe import describe
from hyper2kvm.cli.doctor import doctor
from hyper2kvm.cli.examine import fix, inspect, plan
from hyper2kvm.cli.pod import leave_failure
from hyper2kvm.cli.report import report
from hyper2kvm.cli.run import run
from hyper2kvm.cli.serve import serve
from hyper2kvm.cli.show import show_error
from hyper2kvm.privileges import drop
from hyper2kvm_api.errors import Hyper2kvmError
from hyper2kvm_api.reasons import EXIT_INTERRUPTED, Category

_EXIT_CODES = "\n".join(f"  {c.exit_code:>3}  {c.name.lower()}" for c in Category)

COMMAND_GROUP = "hyper2kvm.commands"
"""Entry points under this name add commands: those that need a cluster come with the operator's package."""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog=f"Exit codes: 0 success, {EXIT_INTERRUPTED} interrupted, otherwise by the kind of failure:\n\n\b\n{_EXIT_CODES}",
)
@click.version_option(package_name="hyper2kvm-operator", prog_name="h2k")
def app() -> None:
    """Take virtual machines off VMware, Hyper-V and the clouds and make them boot under KVM and KubeVirt."""


for _command in (run, plan, inspect, fix, boot, report, doctor, serve, describe):
    app.add_command(_command)


def main() -> None:
    """The entry point of `h2k`."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        drop()
        for entry in entry_points(group=COMMAND_GROUP):
            with suppress(ImportError):  # the extra that the command needs is not installed
                app.add_command(entry.load())
        app(standalone_mode=False)
    except Hyper2kvmError as error:
        show_error(error)
        sys.exit(leave_failure(error))
    except click.Abort:
        sys.exit(EXIT_INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        click.echo("Interrupted. The same command continues where this one stopped.", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Kubernetes ends a pod with SIGTERM: it is treated as Ctrl-C."""
    raise KeyboardInterrupt
