"""How long the lab's cluster takes from nothing until it takes virtual machines' disks, with its images made before."""

import time
from pathlib import Path
from statistics import median

from lab.cluster import addons, lifecycle
from lab.cluster.cluster import Cluster
from lab.cluster.layout import SPARE

_ROUNDS = 3


def measure(_: Path) -> dict[str, object]:
    """The figures."""
    lifecycle.prepare([addons.CDI])
    return {"start of Kubernetes and CDI, seconds": round(median(_start() for _ in range(_ROUNDS)))}


def _start() -> float:
    cluster = Cluster(SPARE)
    cluster.down()
    began = time.monotonic()
    try:
        cluster.up(addons.CDI)
        return time.monotonic() - began
    finally:
        cluster.down()
