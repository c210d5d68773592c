"""Plays Job controller, scheduler, kubelet, volume controllers and garbage collector.

Every Job gets a pod that runs, tells what a real one tells, and succeeds; it goes with its Job. Claims are bound, and
let go when they are deleted.
"""

import base64
import datetime as dt
import random
import ssl
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import urllib3
from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException

from benchmarks.controlplane import ControlPlane, free_port
from hyper2kvm_api.event import Event, EventType
from hyper2kvm_api.machine import Cpu, DiskBus, Machine, MachineDisk
from hyper2kvm_api.result import DiskResult, Outcome, Result
from hyper2kvm_api.stage import Stage
from hyper2kvm_operator.build.pod import CONTAINER
from hyper2kvm_operator.kube.client import KubeObject
from hyper2kvm_operator.kube.resources import MANAGED_BY, MANAGER

_NODE = "standin"
SECONDS = 3.0
"""How long each pod runs."""

_BINDING = 0.5
"""Seconds until a claim is bound."""

_CAPACITY = 10 << 30
_MACHINE = Machine(
    name="web01",
    cpu=Cpu(sockets=2),
    memory=4 << 30,
    disks=(
        MachineDisk(
            id="scsi0:0", bus=DiskBus.SCSI, controller=0, unit=0, capacity=_CAPACITY, format="vmdk", file="web01.vmdk"
        ),
    ),
)
_RESULT = Result(
    outcome=Outcome.SUCCEEDED,
    boot_disk="scsi0:0",
    disks=(DiskResult(id="scsi0:0", capacity=_CAPACITY, digest=f"sha256:{'0' * 64}"),),
)


class StandIn:
    """Works as a context manager, in threads of its own."""

    def __init__(self, plane: ControlPlane) -> None:
        keys = plane.layout.pki
        self._api = config.new_client_from_config(str(plane.layout.kubeconfig))
        self._pods = client.CoreV1Api(self._api)
        self._jobs = client.BatchV1Api(self._api)
        self._workers = ThreadPoolExecutor(4)
        self._watches = [watch.Watch(), watch.Watch()]
        self._stopped = threading.Event()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(keys / "kubelet.crt", keys / "kubelet.key")
        self._logs = _LogServer(("127.0.0.1", free_port()), _Logs)
        self._logs.socket = context.wrap_socket(self._logs.socket, server_side=True)
        self._due: list[tuple[float, Callable[..., None], tuple[object, ...]]] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._pods.create_node({"metadata": {"name": _NODE}})  # type: ignore[arg-type]  # the client takes JSON too
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._logs.server_address[1]}},
        }
        self._pods.patch_node_status(_NODE, {"status": status})
        jobs, claims = self._watches
        for work, arguments in (
            (self._logs.serve_forever, ()),
            (self._work, ()),
            (self._follow, (jobs, self._jobs.list_job_for_all_namespaces, self._job)),
            (self._follow, (claims, self._pods.list_persistent_volume_claim_for_all_namespaces, self._claim)),
        ):
            threading.Thread(target=work, args=arguments, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        for one in self._watches:
            one.stop()
        self._logs.shutdown()
        self._workers.shutdown(cancel_futures=True)
        self._logs.server_close()

    def _follow(
        self, watched: watch.Watch, kind: Callable[..., object], tell: Callable[[str, KubeObject, bool], None]
    ) -> None:
        """Tell of the operator's objects. A watch that the API server ends, or does not begin yet, is begun again."""
        known: set[str] = set()
        while not self._stopped.wait(0.5):
            with suppress(ApiException, urllib3.exceptions.HTTPError):
                for event in watched.stream(kind, label_selector=f"{MANAGED_BY}={MANAGER}", timeout_seconds=300):
                    uid = event["raw_object"]["metadata"]["uid"]
                    tell(event["type"], event["raw_object"], uid not in known)
                    known.add(uid)

    def _job(self, change: str, job: KubeObject, new: bool) -> None:  # noqa: FBT001 -- private, called in one place
        if change == "DELETED":
            self._later(0.0, self._collect, job)
        elif new:
            self._later(0.0, self._start, job)

    def _claim(self, change: str, claim: KubeObject, new: bool) -> None:  # noqa: FBT001 -- private, called in one place
        if "deletionTimestamp" in claim["metadata"] and change != "DELETED":
            self._later(0.0, self._let_go, claim)
        elif new:
            self._later(_BINDING, self._bind, claim)

    def _bind(self, claim: KubeObject) -> None:
        metadata, spec = claim["metadata"], claim["spec"]
        status = {"phase": "Bound", "accessModes": spec["accessModes"], "capacity": spec["resources"]["requests"]}
        self._pods.patch_namespaced_persistent_volume_claim_status(
            metadata["name"], metadata["namespace"], {"status": status}
        )

    def _let_go(self, claim: KubeObject) -> None:
        """Remove the finalizer kubernetes.io/pvc-protection, which admission adds to every claim."""
        metadata = claim["metadata"]
        self._pods.patch_namespaced_persistent_volume_claim(
            metadata["name"], metadata["namespace"], {"metadata": {"finalizers": None}}
        )

    def _start(self, job: KubeObject) -> None:
        pod = _pod(job)
        namespace, name = job["metadata"]["namespace"], pod["metadata"]["name"]
        self._pods.create_namespaced_pod(namespace, pod)  # type: ignore[arg-type]  # as above
        running = {"phase": "Running", "containerStatuses": [_container({"running": {"startedAt": _now()}})]}
        self._pods.patch_namespaced_pod_status(name, namespace, {"status": running})
        self._later(SECONDS, self._end, job, name)

    def _collect(self, job: KubeObject) -> None:
        pod = _pod(job)["metadata"]
        self._pods.delete_namespaced_pod(pod["name"], job["metadata"]["namespace"], grace_period_seconds=0)

    def _later(self, seconds: float, work: Callable[..., None], *arguments: object) -> None:
        with self._lock:
            self._due.append((time.monotonic() + seconds, work, arguments))

    def _work(self) -> None:
        while not self._stopped.wait(0.05):
            moment = time.monotonic()
            with self._lock:
                due = [one for one in self._due if one[0] <= moment]
                self._due = [one for one in self._due if one[0] > moment]
            for _, work, arguments in due:
                self._workers.submit(work, *arguments)

    def _end(self, job: KubeObject, pod: str) -> None:
        namespace = job["metadata"]["namespace"]
        ended = {"exitCode": 0, "reason": "Completed", "finishedAt": _now(), "message": _RESULT.fitted()}
        succeeded = {"phase": "Succeeded", "containerStatuses": [_container({"running": None, "terminated": ended})]}
        self._logs.ended.add(pod)
        self._pods.patch_namespaced_pod_status(pod, namespace, {"status": succeeded})
        met = [{"type": kind, "status": "True"} for kind in ("SuccessCriteriaMet", "Complete")]
        status = {"startTime": _now(), "completionTime": _now(), "succeeded": 1, "conditions": met}
        self._jobs.patch_namespaced_job_status(job["metadata"]["name"], namespace, {"status": status})


class _LogServer(ThreadingHTTPServer):
    """Serves the logs of pods; those that have ended tell their reports too."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self.ended: set[str] = set()

    def log_of(self, pod: str) -> bytes:
        """What a pod has written so far."""
        if "-plan-" in pod:
            return _PLAN_LOG
        return _CONVERT_LOG + _REPORT_LOG if pod in self.ended else _CONVERT_LOG


class _Logs(BaseHTTPRequestHandler):
    """The kubelet's way to a container's log: /containerLogs/NAMESPACE/POD/CONTAINER."""

    protocol_version = "HTTP/1.1"
    server: _LogServer

    def do_GET(self) -> None:
        log = self.server.log_of(self.path.split("?")[0].split("/")[3])
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(log)))
        self.end_headers()
        self.wfile.write(log)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class names it so
        """The API server asks a lot."""


def _pod(job: KubeObject) -> KubeObject:
    template, owner = job["spec"]["template"], job["metadata"]
    return {
        "metadata": {
            "name": f"{owner['name']}-{owner['uid'][:5]}",
            "labels": {**template["metadata"]["labels"], "job-name": owner["name"]},
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "name": owner["name"],
                    "uid": owner["uid"],
                    "controller": True,
                }
            ],
        },
        "spec": {**template["spec"], "nodeName": _NODE},
    }


def _container(state: dict[str, Any]) -> dict[str, Any]:
    return {"name": CONTAINER, "image": "", "imageID": "", "ready": False, "restartCount": 0, "state": state}


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _lines(*events: Event) -> bytes:
    return "".join(f"{event.to_json()}\n" for event in events).encode()


def _report(file: str, size: int) -> Event:
    """A file of a report. Half of it does not compress, like a screenshot."""
    noise = base64.b64encode(random.Random(0).randbytes(size * 3 // 8)).decode()
    packed = zlib.compress(noise.ljust(size, "-").encode(), 9)
    return Event(time=_now(), type=EventType.REPORT, file=file, data=base64.b64encode(packed).decode())


_PLAN_LOG = _lines(Event(time=_now(), type=EventType.MACHINE, machine=_MACHINE))
_CONVERT_LOG = _lines(
    Event(time=_now(), type=EventType.STAGE_STARTED, stage=Stage.CONVERT),
    Event(
        time=_now(),
        type=EventType.PROGRESS,
        stage=Stage.CONVERT,
        disk="scsi0:0",
        done=1 << 30,
        total=2 << 30,
        rate=100 << 20,
    ),
)
_REPORT_LOG = _lines(_report("report.json", 30_000), _report("report.html", 150_000))
