"""Session: what the place where every command ends must know of how it went."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from hyper2kvm_api.event import Event
from hyper2kvm_api.result import Result

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass
class Session:
    """One call of h2k.

    Attributes:
        json: whether standard output has JSON lines and nothing else.
        workspace: the workspace's folder, when the command has one.
        ending: the event that tells the failure, where it was told to the workspace's history already.
        result: the verdict with what was warned of, where there is more to it than the failure.
    """

    json: bool = False
    workspace: Path | None = None
    ending: Event | None = None
    result: Result | None = None


pass_session = click.make_pass_decorator(Session, ensure=True)
"""Gives a command the session as its first argument."""


def json_option(text: str) -> Callable[[Command], Command]:
    """The option --json, which the session keeps."""

    def keep(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
        context.ensure_object(Session).json |= value

    return click.option("--json", is_flag=True, is_eager=True, expose_value=False, callback=keep, help=text)
