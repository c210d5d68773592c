"""CONVERT against nbdcopy and qemu-img convert; what a kill costs; the memory of a whole run."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.source import CAPACITY, DATA, make_source
from hyper2kvm.disk.chunks import CHUNK
from hyper2kvm.disk.server import NbdServer
from lab.command import h2k_measured, manifest
from lab.guests.build import ensure_guest

_ROUNDS = 5
_KILLS = (0.2, 0.35, 0.5, 0.65, 0.8)
"""Shares of the data at which a copy is killed."""


def measure(folder: Path) -> dict[str, object]:
    """The figures; `folder` needs 5 GiB."""
    options = make_source(folder)
    times: dict[str, list[float]] = {name: [] for name in _ENGINES}
    for _ in range(_ROUNDS):
        for name, engine in _ENGINES.items():
            with _served(options, folder) as (uri, target):
                times[name].append(engine(uri, target))
    medians = {name: round(median(values), 2) for name, values in times.items()}
    ours, without = medians["h2k"], medians["h2k without digests"]
    again = [_copied_again(options, folder, share) for share in _KILLS]
    return {
        "seconds": medians,
        "throughput of nbdcopy": {
            "with digests": round(medians["nbdcopy"] / ours, 2),
            "without digests": round(medians["nbdcopy"] / without, 2),
        },
        "throughput of qemu-img": {"with digests": round(medians["qemu-img convert"] / ours, 2)},
        "copied again after kill -9": {"median": f"{median(again):.2%}", "most": f"{max(again):.2%}"},
        "peak memory MiB": {"a large disk": _peak_of_disk(folder), "a guest": _peak_of_guest(folder)},
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


def _timed(command: list[str]) -> float:
    """Seconds of a whole process, the start of Python included."""
    started = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - started


def _ours(*arguments: str) -> Callable[[str, Path], float]:
    return lambda uri, folder: _timed(_command(uri, folder, *arguments))


def _other(*arguments: str) -> Callable[[str, Path], float]:
    def copy(uri: str, folder: Path) -> float:
        named = {"URI": uri, "TARGET": str(folder / "target.raw")}
        return _timed([named.get(each, each) for each in arguments])

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


def _copied_again(options: dict[str, object], folder: Path, share: float) -> float:
    """Share of the data that is copied a second time when the process is killed at some share of it.

    In the engine's unit: a chunk of which anything is there at the kill counts as copied once.
    """
    with _served(options, folder) as (uri, target):
        partial = target / ".target.raw.partial"
        with subprocess.Popen(_command(uri, target), stdout=subprocess.DEVNULL) as process:
            while not (partial.exists() and partial.stat().st_blocks * 512 > DATA * share):
                if process.poll() is not None:
                    raise RuntimeError(f"the copy ended with {process.returncode} before it could be killed")
                time.sleep(0.005)
            process.kill()
        there = _chunks(partial) * CHUNK
        done = subprocess.run(_command(uri, target), check=True, capture_output=True)
        result = json.loads(done.stdout)
    copied, data = int(result["copied"]), int(result["data"])
    return (there + copied - data) / data


def _chunks(path: Path) -> int:
    """Chunks of a file in which there is data (lseek(2), SEEK_DATA)."""
    found: set[int] = set()
    with path.open("rb") as file:
        at = 0
        while at < CAPACITY:
            try:
                start = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:  # ENXIO: no data from there on
                break
            at = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            found.update(range(start // CHUNK, -(-at // CHUNK)))
    return len(found)


def _peak_of_disk(folder: Path) -> int:
    """MiB of a whole run with the large disk, without a system in it."""
    return _peak(folder, folder, "disk.vmdk", guest={"whenUnsupported": "Copy"})


def _peak_of_guest(folder: Path) -> int:
    """MiB of a whole run with a guest that is inspected and repaired."""
    guest = ensure_guest("debian12-bios")
    return _peak(folder, guest.ova.parent, guest.ova.name)


def _peak(folder: Path, volume: Path, path: str, **spec: object) -> int:
    with tempfile.TemporaryDirectory(dir=folder) as output:
        boot = {"boot": {"enabled": False}}
        file = manifest(Path(output), "bench", volume, path, validation=boot, **spec)
        ended, most = h2k_measured("run", file, "--output", output)
        if ended.code:
            raise RuntimeError(ended.stderr)
        return most >> 20
