"""How values read in the report."""

import re
from collections.abc import Callable, Mapping, Sequence

from hyper2kvm.guest.edits import EditRecord

_MANY = 4
"""Edits for the same reasons that are shown as one."""

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")
_DIFF_CLASSES = (("+++", "file"), ("---", "file"), ("@@", "hunk"), ("+", "added"), ("-", "removed"))


def size(count: int) -> str:
    """Bytes as a person says them: `1.5 GiB`."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 or value >= 100 else f"{value:.3g} {_UNITS[unit]}"


def span(seconds: float) -> str:
    """Seconds as a person says them: `4.2 s`, `3 min 05 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def moment(time: str) -> str:
    """An RFC 3339 time to the second, in UTC."""
    return re.sub(r"T(\d\d:\d\d:\d\d).*", r" \1 UTC", time)


def diff_lines(diff: str) -> list[tuple[str, str]]:
    """The lines of a unified diff, each with the class that it is shown in."""
    return [
        (next((name for prefix, name in _DIFF_CLASSES if line.startswith(prefix)), "same"), line)
        for line in diff.splitlines()
    ]


def together(edits: Sequence[EditRecord]) -> list[list[EditRecord]]:
    """Edits to show one by one, then those of which many have the same kind and reasons, in groups."""
    groups: dict[object, list[EditRecord]] = {}
    for number, edit in enumerate(edits):
        groups.setdefault(number if edit.diff else (edit.kind, edit.reasons), []).append(edit)
    many = [group for group in groups.values() if len(group) >= _MANY]
    grouped = {edit.path for group in many for edit in group}
    return [[edit] for edit in edits if edit.path not in grouped] + many


FILTERS: Mapping[str, Callable[..., object]] = {
    "size": size,
    "span": span,
    "moment": moment,
    "diff_lines": diff_lines,
    "together": together,
}
"""For the template."""
