"""The parts of the `h2k` command that talk to a cluster: `h2k status`, and the report of a migration in it."""

import datetime as dt
import time
from collections.abc import Mapping, Sequence

import click
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from hyper2kvm_api.errors import ClusterError
from hyper2kvm_api.migration import VirtualMachineMigrationStatus
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.text import printable
from hyper2kvm_operator.kube.client import KubeClient, KubeObject
from hyper2kvm_operator.kube.errors import RefusedError, UnreachableError
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.reconcile.migration.observe import read_status

_REFRESH = 2.0
_COLOURS = {"Succeeded": "green", "Failed": "red", "Cancelled": "yellow", "Converting": "cyan"}
_WHOLE = {"Name", "Phase", "Stage", "Progress", "Boot", "Age"}
"""Columns that are cut rather than broken into lines."""

_COLUMNS = ("Namespace", "Name", "Phase", "Stage", "Progress", "Boot", "Age", "What")


@click.command()
@click.option("--namespace", "-n", help="Only migrations of this namespace.  [default: all]")
@click.option("--watch", "-w", is_flag=True, help="Go on showing, until interrupted.")
def status(namespace: str | None, watch: bool) -> None:  # noqa: FBT001 -- click passes options by keyword
    """Show the migrations of a cluster as a table."""
    client = KubeClient()
    console = Console()
    if not watch:
        console.print(table(migrations(client, namespace), dt.datetime.now(dt.UTC)))
        return
    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while True:
            live.update(table(migrations(client, namespace), dt.datetime.now(dt.UTC)), refresh=True)
            time.sleep(_REFRESH)


def fetch_report(namespace: str, name: str) -> Mapping[str, str]:
    """The files of a migration's report: name → content.

    Raises:
        ClusterError: the migration, or its report, is not there, or the API server refuses.
    """
    client = KubeClient()
    try:
        found = client.get(Resources.MIGRATION.value, namespace, name)
        told = read_status(found) if found else VirtualMachineMigrationStatus()
        kept = client.get(Resources.CONFIG_MAP.value, namespace, told.report) if told.report else None
    except (RefusedError, UnreachableError) as error:
        raise ClusterError(Reason.REQUEST_REFUSED, str(error)) from None
    if kept is None:
        missing = "has no report yet" if found else "does not exist"
        raise ClusterError(Reason.REQUEST_REFUSED, f"the migration {namespace}/{name} {missing}")
    files: Mapping[str, str] = kept.get("data", {})
    return files


def migrations(client: KubeClient, namespace: str | None) -> list[KubeObject]:
    """The migrations of a namespace or of all, the oldest first.

    Raises:
        ClusterError: the API server refuses or does not answer.
    """
    try:
        found = client.list(Resources.MIGRATION.value, namespace)
    except (RefusedError, UnreachableError) as error:
        raise ClusterError(Reason.REQUEST_REFUSED, str(error)) from None
    return sorted(found, key=lambda m: (m["metadata"]["creationTimestamp"], m["metadata"]["name"]))


def table(found: Sequence[KubeObject], now: dt.datetime) -> Table:
    """The migrations as a table."""
    made = Table(box=None, header_style="bold", pad_edge=False)
    for name in _COLUMNS:
        made.add_column(name, no_wrap=name in _WHOLE)
    for migration in found:
        made.add_row(*_row(migration, now))
    return made


def _row(migration: KubeObject, now: dt.datetime) -> list[str]:
    metadata, told = migration["metadata"], read_status(migration)
    phase = told.phase.value if told.phase else "Pending"
    colour = _COLOURS.get(phase, "default")
    what = told.failure.reason if told.failure else told.progress or ""
    return [
        metadata["namespace"],
        metadata["name"],
        f"[{colour}]{phase}[/]",
        _safe(told.stage or ""),
        _bar(told.percent),
        _safe(told.boot.verdict if told.boot else ""),
        age(now - dt.datetime.fromisoformat(metadata["creationTimestamp"])),
        _safe(what),
    ]


def _safe(text: str) -> str:
    """A text of others for rich: neither its markup nor a terminal's commands."""
    return escape(printable(text))


def _bar(percent: int | None) -> str:
    if percent is None:
        return ""
    full = percent // 10
    return f"{'█' * full}{'░' * (10 - full)} {percent:3d} %"


def age(span: dt.timedelta) -> str:
    """A span as kubectl shows it: the largest unit."""
    seconds = int(span.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
