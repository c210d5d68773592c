"""How values read in the report."""

import re
from collections.abc import Callable, Mapping

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


FILTERS: Mapping[str, Callable[..., object]] = {
    "size": size,
    "span": span,
    "moment": moment,
    "diff_lines": diff_lines,
}
"""For the template."""
