"""The table of migrations. What the cluster says is shown as it is, but for characters that would move the cursor."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from hyper2kvm_api.migration import Phase
from hyper2kvm_api.text import printable
from hyper2kvm_operator.command.migrations import Migration

_COLUMNS = ("Namespace", "Name", "Phase", "Stage", "Progress", "Boot", "Age", "What")
_WIDE = {"Namespace", "What"}
"""Columns that may be broken into lines, where there is room; the others are cut."""

_STYLES = {Phase.SUCCEEDED: "green", Phase.FAILED: "red", Phase.CANCELLED: "yellow", Phase.CONVERTING: "cyan"}
_ORDER = (
    {Phase.PLANNING, Phase.PROVISIONING, Phase.CONVERTING, Phase.HANDING_OFF},
    {Phase.FAILED},
    {Phase.PENDING},
    {Phase.SUCCEEDED, Phase.CANCELLED},
)
"""What a person looks for first: what works, what failed, what waits. Each phase is in one of the groups."""

_HEAD_AND_FOOT = 2


def ordered(migrations: Sequence[Migration]) -> list[Migration]:
    """By what a person looks for first, in each group the oldest first."""
    rank = {phase: number for number, group in enumerate(_ORDER) for phase in group}
    return sorted(migrations, key=lambda m: (rank[m.phase], m.created, m.namespace, m.name))


def whole(migrations: Sequence[Migration], now: dt.datetime) -> Table:
    """Every migration; long texts are broken into lines."""
    return _table(ordered(migrations), now, narrow=False)


def fitted(migrations: Sequence[Migration], now: dt.datetime, height: int) -> Table:
    """As many migrations as `height` lines hold beside the head and a line below, each in one line."""
    return _table(ordered(migrations)[: max(0, height - _HEAD_AND_FOOT)], now, narrow=True)


def count(migrations: Sequence[Migration], *, shown: int) -> Text:
    """How many there are in each phase, and how many of them are shown when not all are."""
    found = Counter(migration.phase for migration in migrations)
    told = [f"{found[phase]} {phase.value}" for phase in Phase if found[phase]] or ["no migrations"]
    if shown < len(migrations):
        told.append(f"{shown} of {len(migrations)} shown")
    return Text(" · ".join(told), style="dim", no_wrap=True, overflow="ellipsis")


def in_line(text: str) -> str:
    """A text of the cluster's for one line of a terminal, which it does not command."""
    return " ".join(printable(text).split())


def _table(migrations: Sequence[Migration], now: dt.datetime, *, narrow: bool) -> Table:
    made = Table(box=None, header_style="bold", pad_edge=False)
    for name in _COLUMNS:
        made.add_column(name, no_wrap=narrow or name not in _WIDE)
    for migration in migrations:
        made.add_row(*_row(migration, now))
    return made


def _row(migration: Migration, now: dt.datetime) -> list[Text]:
    told, phase = migration.status, migration.phase
    cells = [
        migration.namespace,
        migration.name,
        phase.value,
        told.stage or "",
        _bar(told.percent),
        told.boot.verdict if told.boot else "",
        age(now - migration.created),
        told.failure.reason if told.failure else told.progress or "",
    ]
    # Text, not markup: a disk is called `[scsi0:0]` in some messages.
    row = [Text(in_line(cell)) for cell in cells]
    row[_COLUMNS.index("Phase")].stylize(_STYLES.get(phase, ""))
    return row


def _bar(percent: int | None) -> str:
    if percent is None:
        return ""
    full = percent // 10
    return f"{'█' * full}{'░' * (10 - full)} {percent:3d} %"


def age(span: dt.timedelta) -> str:
    """A span as kubectl shows it: the largest unit. Clocks differ: what is to come is now."""
    seconds = max(0, int(span.total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
