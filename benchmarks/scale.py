"""The operator with many migrations, against a real etcd and kube-apiserver; pods are played by a stand-in.

Handing off is None, as there is no CDI: the finished disk stays on its claim.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kubernetes import config
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.controlplane import ControlPlane, answers, free_port
from benchmarks.standin import SECONDS, StandIn
from hyper2kvm_api.migration import API_VERSION
from hyper2kvm_operator.kube.client import KubeClient, KubeObject
from hyper2kvm_operator.kube.resources import Resources
from lab.product import REPOSITORY

SIZES = (100, 1000)
CONCURRENT = 50
"""Migrations at once, five times the default. Each holds its slot while its two pods run, one after the other."""

_NAMESPACE = "scale"
_DEADLINE = 1800.0
_PAUSE = 1.0
_STEADY = 3.0
_RESYNC = 10.0
"""Seconds after a start in which the operator lists what it watches for the second time."""


_STORAGE_CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "fast", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "example.com/none",
}


@dataclass
class _Operator:
    """A running operator."""

    process: subprocess.Popen[bytes]
    address: str

    def metrics(self) -> dict[str, Metric]:
        """What it tells Prometheus."""
        text = (answers(f"{self.address}/metrics") or b"").decode()
        return {family.name: family for family in text_string_to_metric_families(text)}

    def peak(self) -> int:
        """The most memory that it has had, in MB (proc(5), VmHWM)."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        (peak,) = (int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
        return round(peak * 1024 / 1_000_000)


def measure(folder: Path) -> dict[str, object]:
    """The figures, for each number of migrations on a control plane of its own."""
    return {"migrations at once": CONCURRENT} | {str(count): _measure(folder / str(count), count) for count in SIZES}


def _measure(folder: Path, count: int) -> dict[str, object]:
    with ControlPlane(folder) as plane, StandIn(plane):
        client = _prepared(plane)
        with _operator(plane, folder / "operator.log") as operator:
            began = time.monotonic()
            for number in range(count):
                client.create(Resources.MIGRATION.value, _migration(number))
            _wait(lambda: _phases(operator).get("Succeeded", 0) == count)
            took = time.monotonic() - began
            told, working = operator.metrics(), operator.peak()
        at_rest, resting = _restarted(plane, folder / "operator-again.log", lambda operator: _at_rest(operator, count))
        for number in range(count, count + CONCURRENT):
            client.create(Resources.MIGRATION.value, _migration(number))
        with _operator(plane, folder / "operator-interrupted.log") as operator:
            _wait(lambda: _phases(operator).get("Converting", 0) >= CONCURRENT // 2)
        everything = count + CONCURRENT
        busy, _ = _restarted(plane, folder / "operator-busy.log", lambda operator: _looked_at(operator, everything))
    looks = told["hyper2kvm_reconcile_duration_seconds"]
    requests = next(one.value for one in told["hyper2kvm_api_requests"].samples if one.name.endswith("_total"))
    return {
        "seconds until all have succeeded": round(took),
        "of these at least, while pods run": round(2 * SECONDS * count / CONCURRENT),
        "reconcile, median seconds": round(quantile(looks, 0.5), 3),
        "reconcile, p95 seconds": round(quantile(looks, 0.95), 3),
        "looks at a migration": round(_count(looks) / count, 1),
        "API requests a migration": round(requests / count, 1),
        "peak memory of the operator, MB": working,
        "seconds until it has caught up after kill -9, all at rest": round(at_rest, 1),
        f"seconds until it has looked at all after kill -9, {CONCURRENT} at work": round(busy, 1),
        "peak memory while it catches up, MB": resting,
    }


def _prepared(plane: ControlPlane) -> KubeClient:
    """A client to a control plane that knows the kinds, and a storage class by default."""
    for crd in sorted((REPOSITORY / "crds").glob("*.yaml")):
        plane.kubectl.apply(crd.read_text())
    plane.kubectl("wait", "--for=condition=Established", "crd", "--all")
    plane.kubectl("create", "namespace", _NAMESPACE)
    plane.kubectl.apply(json.dumps(_STORAGE_CLASS))
    return KubeClient(config.new_client_from_config(str(plane.layout.kubeconfig)))


def _restarted(plane: ControlPlane, log: Path, caught_up: Callable[[_Operator], float]) -> tuple[float, int]:
    """Seconds from the start of an operator until it has caught up, and the most memory that it has had, in MB."""
    began = time.monotonic()
    with _operator(plane, log) as operator:
        moment = caught_up(operator)
        time.sleep(_RESYNC)
        return moment - began, operator.peak()


@contextmanager
def _operator(plane: ControlPlane, log: Path) -> Iterator[_Operator]:
    """An operator of a process of its own, killed (-9) at the end."""
    port = free_port()
    settings = {"PORT": port, "MAX_CONCURRENT": CONCURRENT, "CONVERSION_IMAGE": "none", "KVM": "None"}
    environment = os.environ | _environment_of_image()
    environment |= {f"HYPER2KVM_{name}": str(value) for name, value in settings.items()}
    environment["KUBECONFIG"] = str(plane.layout.kubeconfig)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "hyper2kvm_operator.main"], env=environment, stdout=output, stderr=output
        )
    try:
        operator = _Operator(process, f"http://127.0.0.1:{port}")
        _wait(lambda: answers(f"{operator.address}/readyz") is not None, log=log)
        yield operator
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _environment_of_image() -> dict[str, str]:
    """What the operator's image sets, but for where its programs lie."""
    lines = (REPOSITORY / "operator" / "Containerfile").read_text().splitlines()
    told = [word for line in lines if line.startswith("ENV ") for word in shlex.split(line)[1:]]
    return {name: value for name, _, value in (word.partition("=") for word in told) if name != "PATH"}


def quantile(histogram: Metric, share: float) -> float:
    """The value below which a share of the observations lies, as PromQL's histogram_quantile estimates it."""
    buckets = [(float(one.labels["le"]), one.value) for one in histogram.samples if one.name.endswith("_bucket")]
    wanted = share * buckets[-1][1]
    under, before = 0.0, 0.0
    for bound, seen in buckets:
        if seen >= wanted:
            return under if bound == float("inf") else under + (bound - under) * (wanted - before) / (seen - before)
        under, before = bound, seen
    return under


def _migration(number: int) -> KubeObject:
    volume = {"persistentVolumeClaim": {"claimName": "exports"}}
    return {
        "apiVersion": API_VERSION,
        "kind": "VirtualMachineMigration",
        "metadata": {"name": f"vm{number:04}", "namespace": _NAMESPACE},
        "spec": {
            "source": {"files": {"volume": volume, "path": f"vm{number:04}.ova"}},
            "target": {"handoff": "None"},
        },
    }


def _phases(operator: _Operator) -> dict[str, int]:
    return {one.labels["phase"]: int(one.value) for one in operator.metrics()["hyper2kvm_migrations"].samples}


def _at_rest(operator: _Operator, count: int) -> float:
    """The moment since which the operator knows all migrations, has an empty queue and looks at nothing."""
    since, looks = time.monotonic(), -1.0
    until = since + _DEADLINE
    while time.monotonic() < until:
        told = operator.metrics()
        seen = _count(told["hyper2kvm_reconcile_duration_seconds"])
        known = sum(one.value for one in told["hyper2kvm_migrations"].samples)
        busy = told["hyper2kvm_queue_length"].samples[0].value > 0
        if known < count or seen < count or busy or seen != looks:
            since, looks = time.monotonic(), seen
        elif time.monotonic() - since > _STEADY:
            return since
        time.sleep(_PAUSE / 5)
    raise TimeoutError("the operator does not catch up")


def _looked_at(operator: _Operator, count: int) -> float:
    """The moment at which the operator has looked as often as there are migrations: those due first come first."""
    until = time.monotonic() + _DEADLINE
    while _count(operator.metrics()["hyper2kvm_reconcile_duration_seconds"]) < count:
        if time.monotonic() > until:
            raise TimeoutError("the operator does not catch up")
        time.sleep(_PAUSE / 5)
    return time.monotonic()


def _count(histogram: Metric) -> float:
    return next(one.value for one in histogram.samples if one.name.endswith("_count"))


def _wait(holds: Callable[[], bool], *, log: Path | None = None) -> None:
    until = time.monotonic() + _DEADLINE
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError(log.read_text()[-2000:] if log else "the migrations do not end")
        time.sleep(_PAUSE)
