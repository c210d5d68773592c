"""The table of README.md, from the results."""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def table() -> str:
    """Markdown: what was measured, the ratios, the machine."""
    convert, repair = _result("convert"), _result("repair")
    copying, nbdcopy = convert["figures"], convert["figures"]["throughput of nbdcopy"]
    rows = {
        "INSPECT and FIX, against a whole run of virt-v2v": f"{repair['figures']['share of virt-v2v']} of its time",
        "CONVERT with digests, throughput against nbdcopy": nbdcopy["with digests"],
        "CONVERT without digests, throughput against nbdcopy": nbdcopy["without digests"],
        "CONVERT with digests, throughput against qemu-img": copying["throughput of qemu-img"]["with digests"],
        "copied again after kill -9": copying["copied again after kill -9"],
        "peak memory of a copy": f"{copying['peak memory MiB']} MiB",
    }
    lines = ["| | |", "|---|---|", *(f"| {what} | {figure} |" for what, figure in rows.items())]
    return "\n".join([*lines, "", f"Measured {convert['measured']}, all guests emulated, {convert['machine']}."])


def _result(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return found
