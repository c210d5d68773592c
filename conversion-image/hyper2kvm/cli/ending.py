"""How a command ends that did not succeed: one clear error, once, and an exit code that tells its kind."""

import sys
import traceback
from contextlib import suppress
from pathlib import Path

import click

from hyper2kvm.cli.pod import exit_code, leave, result_of
from hyper2kvm.cli.session import Session
from hyper2kvm.cli.show import show_error
from hyper2kvm.events import failure_event
from hyper2kvm.run import scrub
from hyper2kvm_api.errors import Hyper2kvmError, SpecError, UnexpectedError
from hyper2kvm_api.reasons import EXIT_INTERRUPTED, Reason

TRACEBACK = "traceback.txt"
"""File in a workspace: where in the code the last unexpected error came from."""


def as_failure(error: Exception, workspace: Path | None) -> Hyper2kvmError:
    """An exception as one of the errors that are told. The traceback of a defect is kept in the workspace's folder."""
    if isinstance(error, Hyper2kvmError):
        return error
    trace = "".join(traceback.format_exception(error))
    if workspace is not None:
        with suppress(OSError):
            (workspace / TRACEBACK).write_text(trace)
            return _unexpected(error, f"its traceback is in {workspace / TRACEBACK}")
    click.echo(scrub(trace), err=True, nl=False)
    return _unexpected(error, "its traceback stands above")


def end(session: Session, error: Hyper2kvmError) -> int:
    """Tell the error that ends a command; returns the exit code."""
    if session.json:
        with suppress(OSError):
            click.echo((session.ending or failure_event(error)).to_json())
    show_error(error)
    with suppress(OSError):
        leave(session.result or result_of(error))
    return exit_code(error)


def end_wrong_call(session: Session, error: click.ClickException) -> int:
    """Tell what is wrong with the command line, in click's words."""
    if session.json or "--json" in sys.argv[1:]:
        wrong = SpecError(Reason.COMMAND_LINE_INVALID, error.format_message())
        click.echo(failure_event(wrong).to_json())
    error.show()
    return error.exit_code


def end_interrupted(session: Session) -> int:
    """Tell that the command was interrupted, by Ctrl-C or SIGTERM."""
    again = "; run the same command again to go on" if session.workspace else ""
    click.echo(f"interrupted{again}", err=True)
    return EXIT_INTERRUPTED


def _unexpected(error: Exception, where: str) -> UnexpectedError:
    return UnexpectedError(Reason.UNEXPECTED, f"{scrub(f'{type(error).__name__}: {error}')}; {where}")
