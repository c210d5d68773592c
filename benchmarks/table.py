"""The tables of the documentation, from the results."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"

_TABLE = re.compile(r"^\|.*\|\n\|(?:---\|)+\n(?:\|.*\n)+\nMeasured .*$", re.MULTILINE)


def write(repository: Path) -> None:
    """Put each table in the place of the one that its page has."""
    for name, make in PAGES.items():
        page = repository / name
        before, after = _TABLE.split(page.read_text(), maxsplit=1)
        page.write_text(f"{before}{make()}{after}")


def ratios() -> str:
    """README's: what was measured, the ratios, the machine."""
    convert, repair = _result("convert"), _result("repair")
    copying, nbdcopy = convert["figures"], convert["figures"]["throughput of nbdcopy"]
    rows = {
        "INSPECT and FIX, against a whole run of virt-v2v": f"{repair['figures']['share of virt-v2v']} of its time",
        "CONVERT with digests, throughput against nbdcopy": nbdcopy["with digests"],
        "CONVERT without digests, throughput against nbdcopy": nbdcopy["without digests"],
        "CONVERT with digests, throughput against qemu-img": copying["throughput of qemu-img"]["with digests"],
        "copied again after kill -9, at the most": copying["copied again after kill -9"]["most"],
        "peak memory of a run, without the appliance": f"{max(copying['peak memory MiB'].values())} MiB",
    }
    lines = ["| | |", "|---|---|", *(f"| {what} | {figure} |" for what, figure in rows.items())]
    return "\n".join([*lines, "", _measured(convert, repair)])


def scale_table() -> str:
    """That of docs/operations/scale.md: a column for each number of migrations."""
    result = _result("scale")
    sizes = {size: figures for size, figures in result["figures"].items() if isinstance(figures, dict)}
    lines = [f"| migrations | {' | '.join(f'{int(size):,}' for size in sizes)} |", "|---" * (len(sizes) + 1) + "|"]
    figures = list(sizes.values())
    lines += [f"| {what} | {' | '.join(str(each[what]) for each in figures)} |" for what in figures[0]]
    at_once = f"{result['figures']['migrations at once']} migrations at once, "
    return "\n".join([*lines, "", _measured(result, how=at_once)])


def images_table() -> str:
    """That of docs/tasks/install.md: what nodes fetch, and how fast the appliance in it starts."""
    result = _result("images")
    sizes, starts = result["figures"]["MiB, not compressed"], result["figures"]["start of the appliance, seconds"]
    lines = ["| | |", "|---|---|", *(f"| {name}, not compressed | {size:,} MiB |" for name, size in sizes.items())]
    lines += [f"| start of the appliance ({how}) | {seconds} s |" for how, seconds in starts.items()]
    return "\n".join([*lines, "", _measured(result)])


def everything() -> str:
    """That of benchmarks/README.md: each figure that no other page has all of."""
    results = [_result(name) for name in ("convert", "repair", "cluster")]
    rows = {what: figure for result in results for what, figure in _flat(result["figures"]).items()}
    lines = ["| | |", "|---|---|", *(f"| {what} | {figure} |" for what, figure in rows.items())]
    return "\n".join([*lines, "", _measured(*results)])


PAGES: Mapping[str, Callable[[], str]] = {
    "README.md": ratios,
    "benchmarks/README.md": everything,
    "docs/operations/scale.md": scale_table,
    "docs/tasks/install.md": images_table,
}
"""Page → what makes its table."""


def _flat(figures: Mapping[str, Any], under: str = "") -> dict[str, object]:
    """Nested figures by their whole names."""
    flat: dict[str, object] = {}
    for what, figure in figures.items():
        name = f"{under}, {what}" if under else what
        flat |= _flat(figure, name) if isinstance(figure, dict) else {name: figure}
    return flat


def _measured(*results: dict[str, Any], how: str = "") -> str:
    """When and where; once where that is the same day and machine."""
    told: dict[tuple[str, str], str] = {}
    for result in results:
        machine = result["machine"]
        told.setdefault((result["measured"], machine.partition(", load ")[0]), f"{result['measured']}, {how}{machine}")
    return f"Measured {'; '.join(told.values())}."


def _result(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return found
