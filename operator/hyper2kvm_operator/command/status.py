"""`h2k status`: the migrations of a cluster as a table."""

import datetime as dt
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from hyper2kvm_api.errors import ClusterError
from hyper2kvm_operator.command.migrations import Migration, list_migrations
from hyper2kvm_operator.command.table import count, fitted, in_line, whole
from hyper2kvm_operator.kube.client import KubeClient

_REFRESH = 2.0

Look = Callable[[], Sequence[Migration]]
Show = Callable[[Sequence[Migration], ClusterError | None], None]


@click.command()
@click.option("--namespace", "-n", help="Only migrations of this namespace.  [default: all]")
@click.option("--watch", "-w", is_flag=True, help="Go on showing, until interrupted.")
def status(namespace: str | None, watch: bool) -> None:  # noqa: FBT001 -- click passes options by keyword
    """Show the migrations of a cluster as a table: what works first, then what failed, what waits, and what is over."""
    client = KubeClient()
    console = Console()
    if not watch:
        console.print(whole(list_migrations(client, namespace), _now()))
        return
    with suppress(KeyboardInterrupt):
        _watch(console, lambda: list_migrations(client, namespace))


def _watch(console: Console, look: Look) -> NoReturn:
    """Show on a terminal's whole screen; elsewhere, print."""
    if not console.is_terminal:
        follow(look, lambda found, trouble: console.print(view(found, trouble, _now())), _pause)
    with Live(console=console, auto_refresh=False, screen=True) as live:
        follow(
            look,
            lambda found, trouble: live.update(view(found, trouble, _now(), console.height), refresh=True),
            _pause,
        )


def follow(look: Look, show: Show, pause: Callable[[], None]) -> NoReturn:
    """Look and show for ever. Once something was seen, it stays shown beside the error of a look that fails.

    Raises:
        ClusterError: the first look failed.
    """
    found, trouble = look(), None
    while True:
        show(found, trouble)
        pause()
        try:
            found, trouble = look(), None
        except ClusterError as error:
            trouble = error


def view(
    found: Sequence[Migration], trouble: ClusterError | None, now: dt.datetime, height: int | None = None
) -> Group:
    """The migrations, their count, and why they may be out of date; of the migrations what `height` lines hold."""
    lines = [] if trouble is None else [_warning(trouble)]
    table = whole(found, now) if height is None else fitted(found, now, height - len(lines))
    return Group(table, count(found, shown=table.row_count), *lines)


def _warning(trouble: ClusterError) -> Text:
    told = f"not up to date: {trouble.reason}: {in_line(trouble.message)}"
    return Text(told, style="yellow", no_wrap=True, overflow="ellipsis")


def _pause() -> None:
    time.sleep(_REFRESH)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
