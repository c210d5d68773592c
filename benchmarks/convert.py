"""CONVERT against nbdcopy and qemu-img convert; what a kill costs; peak memory."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.source import DATA, make_source
from hyper2kvm.disk.server import NbdServer

_ROUNDS = 5
_MIB = 1 << 20


def measure(folder: Path) -> dict[str, object]:
    """The figures; `folder` needs 5 GiB."""
    options = make_source(folder)
    times: dict[str, list[float]] = {name: [] for name in _ENGINES}
    peak = 0
    for _ in range(_ROUNDS):
        for name, engine in _ENGINES.items():
            with _served(options, folder) as (uri, target):
                seconds, memory = engine(uri, target)
            times[name].append(seconds)
            peak = max(peak, memory)
    medians = {name: round(median(values), 2) for name, values in times.items()}
    ours, without = medians["h2k"], medians["h2k without digests"]
    return {
        "seconds": medians,
        "throughput of nbdcopy": {
            "with digests": round(medians["nbdcopy"] / ours, 2),
            "without digests": round(medians["nbdcopy"] / without, 2),
        },
        "throughput of qemu-img": {"with digests": round(medians["qemu-img convert"] / ours, 2)},
        "copied again after kill -9": f"{_copied_again(options, folder):.2%}",
        "peak memory MiB": peak // 1024,
    }


class _served:  # noqa: N801 -- used as a function
    """A server of the source, and a folder for the target that is gone afterwards."""

    def __init__(self, options: dict[str, object], folder: Path) -> None:
        self._target = Path(tempfile.mkdtemp(dir=folder))
        self._server = NbdServer(options, self._target / "sock", writable=False, log=self._target / "log")

    def __enter__(self) -> tuple[str, Path]:
        return self._server.__enter__().uri, self._target

    def __exit__(self, *error: object) -> None:
        self._server.__exit__(None, None, None)
        shutil.rmtree(self._target)


def _ours(*arguments: str) -> Callable[[str, Path], tuple[float, int]]:
    def copy(uri: str, folder: Path) -> tuple[float, int]:
        result = json.loads(subprocess.run(_command(uri, folder, *arguments), check=True, capture_output=True).stdout)
        return result["seconds"], result["peak"]

    return copy


def _other(*arguments: str) -> Callable[[str, Path], tuple[float, int]]:
    def copy(uri: str, folder: Path) -> tuple[float, int]:
        named = {"URI": uri, "TARGET": str(folder / "target.raw")}
        started = time.monotonic()
        subprocess.run([named.get(each, each) for each in arguments], check=True, capture_output=True)
        return time.monotonic() - started, 0

    return copy


_ENGINES = {
    "h2k": _ours(),
    "nbdcopy": _other("nbdcopy", "--flush", "URI", "TARGET"),
    "h2k without digests": _ours("--no-digests"),
    "qemu-img convert": _other("qemu-img", "convert", "-t", "writeback", "-f", "raw", "-O", "raw", "URI", "TARGET"),
}
"""All of them have brought the data to stable storage when they end."""


def _command(uri: str, folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.copy_once", uri, str(folder), *arguments]


def _copied_again(options: dict[str, object], folder: Path) -> float:
    """Share of the data that is copied a second time when the process is killed half way."""
    with _served(options, folder) as (uri, target):
        partial = target / ".target.raw.partial"
        with subprocess.Popen(_command(uri, target), stdout=subprocess.DEVNULL) as process:
            while not (partial.exists() and _stored(partial) > DATA // 2):
                time.sleep(0.005)
            process.kill()
        written = _stored(partial)
        done = subprocess.run(_command(uri, target), check=True, capture_output=True)
        result = json.loads(done.stdout)
    copied, data = int(result["copied"]), int(result["data"])
    return max(0.0, written + copied - data) / data


def _stored(path: Path) -> int:
    return path.stat().st_blocks * 512
