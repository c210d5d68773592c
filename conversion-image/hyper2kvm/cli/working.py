"""Working in a workspace: it is held, what happens is shown, and kept in its history."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from hyper2kvm.cli.session import Session
from hyper2kvm.cli.show import shown
from hyper2kvm.events import Events, Sink
from hyper2kvm.history import History
from hyper2kvm.prepare import Request
from hyper2kvm.workspace import Workspace


@dataclass(frozen=True)
class Working:
    """A command at work.

    Attributes:
        events: tells everything that happens, to both of the following.
        show: shows an event to who started the command.
        history: keeps an event in the workspace.
    """

    events: Events
    show: Sink
    history: History


def workspace_of(request: Request, output: Path, workspace: Path | None) -> Workspace:
    """The workspace that the options mean."""
    return Workspace((workspace or output / f"{request.name}.h2k").absolute())


@contextmanager
def working(session: Session, workspace: Workspace, stream: TextIO) -> Iterator[Working]:
    """Hold the workspace, show what happens on the stream and keep it in the workspace's history.

    Raises:
        BusyError: WorkspaceLocked.
    """
    with workspace.lock(), shown(stream, as_json=session.json) as show:
        session.workspace = workspace.folder
        history = History(workspace.folder)
        yield Working(Events([show, history.add]), show, history)
