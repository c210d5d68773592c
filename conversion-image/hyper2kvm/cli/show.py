"""How a run is shown: progress bars on a terminal, JSON lines elsewhere."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from hyper2kvm.events import Sink
from hyper2kvm_api.errors import Hyper2kvmError
from hyper2kvm_api.event import Event, EventType
from hyper2kvm_api.stage import Stage
from hyper2kvm_api.text import printable

_WIDTH = max(len(stage) for stage in Stage)


class Bars:
    """A terminal: a line for each stage as it goes, and a bar for each disk that is being copied."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn(" " * (_WIDTH + 3) + "{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}

    @contextmanager
    def shown(self) -> Iterator[Sink]:
        """Show events until the context ends."""
        with self._progress:
            yield self

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if event.type is EventType.PROGRESS:
            self._advance(event)
            return
        line = _LINES.get(event.type)
        if line is not None:
            stage = f"{event.stage or '':<{_WIDTH}}"
            self._progress.console.print(f"[bold]{stage}[/]  {line(event)}", highlight=False, soft_wrap=True)
        if event.type is EventType.STAGE_FINISHED:
            for task in self._tasks.values():
                self._progress.remove_task(task)
            self._tasks.clear()

    def _advance(self, event: Event) -> None:
        disk = event.disk or event.file or "disk"
        if disk not in self._tasks:
            self._tasks[disk] = self._progress.add_task(safe(disk), total=event.total)
        self._progress.update(self._tasks[disk], completed=event.done, total=event.total)


def _text(event: Event) -> str:
    disk = f"{event.disk}: " if event.disk else ""
    return safe(f"{disk}{event.message or ''}")


def safe(text: str) -> str:
    """A text of others for rich: neither its markup nor a terminal's commands."""
    return escape(printable(text))


_LINES: dict[EventType, Callable[[Event], str]] = {
    EventType.STAGE_STARTED: lambda _: "…",
    EventType.STAGE_SKIPPED: lambda event: f"[green]✓[/] {_text(event)}",
    EventType.STAGE_FINISHED: lambda event: f"[green]✓[/] {event.seconds or 0:.1f} s",
    EventType.NOTE: _text,
    EventType.WARNING: lambda event: f"[yellow]! {safe(event.reason or '')}[/]: {_text(event)}",
    EventType.SUCCEEDED: lambda event: f"[bold green]✓ {_text(event)}[/]",
}
"""Failures are shown once, by the command's end."""


class JsonLines:
    """One JSON object a line: what a pod writes to its standard output."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        """Write one event. When nobody reads any more, the run ends as if it were interrupted."""
        text = event.to_json()
        try:
            self._stream.write((printable(text) if self._stream.isatty() else text) + "\n")
            self._stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            raise KeyboardInterrupt from None


@contextmanager
def shown(stream: TextIO, *, as_json: bool) -> Iterator[Sink]:
    """The sink that fits the stream: bars on a terminal, unless JSON is asked for."""
    if as_json or not stream.isatty():
        yield JsonLines(stream)
        return
    with Bars(Console(file=stream)).shown() as sink:
        yield sink


def show_error(error: Hyper2kvmError) -> None:
    """The one error that ends a command, on standard error: reason, what happened, what to do."""
    where = "".join(f" [{place}]" for place in (error.disk, error.file) if place)
    lines = (("error", "red", f"{error.reason}{where}: {error.message}"), ("hint ", "yellow", error.hint))
    for word, colour, text in lines:
        click.echo(f"{click.style(word, fg=colour, bold=True)} {printable(text)}", err=True)
