"""`python -m benchmarks [NAME…]` measures, and writes results/NAME.json with the machine and the date.

The tables of the documentation are then made anew.
"""

import datetime as dt
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import cluster, convert, demo, images, repair, scale, table
from hyper2kvm import accelerator
from lab.product import REPOSITORY

RESULTS = Path(__file__).parent / "results"
MEASURES: dict[str, Callable[[Path], dict[str, object]]] = {
    "convert": convert.measure,
    "repair": repair.measure,
    "images": images.measure,
    "cluster": cluster.measure,
    "scale": scale.measure,
    "demo": demo.measure,
}


def main(names: list[str]) -> None:
    """Measure what is named, everything when nothing is."""
    for name in names or MEASURES:
        print(f"measuring {name} …", flush=True)
        with tempfile.TemporaryDirectory(prefix="h2k-bench-", dir="/var/tmp") as folder:
            figures = MEASURES[name](Path(folder))
        result = {"measured": str(dt.datetime.now(dt.UTC).date()), "machine": _machine(), "figures": figures}
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
        print(json.dumps(result, indent=2), flush=True)
    table.write(REPOSITORY)


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    guests = {"kvm": "guests with KVM", "tcg": "guests emulated"}[accelerator.proven()]
    load = f"load {os.getloadavg()[0]:.1f} at the end"
    return f"{os.cpu_count()} x {model}, {memory} GiB, Linux {platform.release()}, {guests}, {load}"


if __name__ == "__main__":
    main(sys.argv[1:])
