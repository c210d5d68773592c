"""The chart on the lab's cluster through its life: install, upgrade, rollback, uninstall, and faults of the operator."""

import datetime as dt
import fcntl
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from hyper2kvm_operator.settings import Settings, from_environment
from lab import product
from lab.cluster import namespace
from lab.cluster.cluster import Cluster
from lab.cluster.progress import wait_for
from lab.scenario.objects import Json

# The lab has no KVM that works, and tests have little patience.
SETTINGS = ("kvm=None", "conversion.startDeadline=60", "maxConcurrent=40", "operator.logFormat=text")
"""Values of the chart that fit the lab."""

Right = tuple[str, str]
"""Resource, with its group, and verb."""

_MODULE = b"hyper2kvm_operator.main"


class Installation:
    """A release of the chart.

    Attributes:
        cluster: where it runs.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def install(self, *settings: str, chart: Path = product.CHART) -> None:
        """Install or upgrade with values over the lab's, and wait until the operator is ready.

        Raises:
            HostError: ProgramFailed of a build or of Helm.
        """
        # Helm refuses to work on a release that it works on already, for another test process.
        with self.cluster.layout.folder.joinpath("install.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            product.install(self.cluster, *SETTINGS, *settings, chart=chart)

    def helm(self, *arguments: str) -> str:
        """Run Helm in the release's namespace; what it prints.

        Raises:
            HostError: ProgramFailed with Helm's words.
        """
        return product.helm(self.cluster, *arguments, f"--namespace={product.NAMESPACE}")

    def uninstall(self) -> None:
        """Remove the release, if there is one.

        Raises:
            HostError: ProgramFailed of Helm.
        """
        self.helm("uninstall", product.RELEASE, "--wait", "--timeout=120s", "--ignore-not-found")

    def kill(self) -> None:
        """Kill the operator's process (-9); the kubelet starts another.

        Raises:
            HostError: WorkspaceUnusable when it does not run.
        """
        os.kill(self.process(), signal.SIGKILL)

    def process(self) -> int:
        """The host's process id of the operator.

        Raises:
            HostError: WorkspaceUnusable when it does not run.
        """
        first = namespace.find(self.cluster.layout)
        for pid in namespace.members(first) if first else []:
            arguments = _command(pid)
            if _MODULE in arguments and b"python" in arguments[0]:
                return pid
        raise HostError(Reason.WORKSPACE_UNUSABLE, "the operator does not run", hint="Install the chart first.")

    def wait_ready(self, deadline: float = 180) -> None:
        """Wait until the operator is ready.

        Raises:
            HostError: ProgramTimedOut.
        """
        self.cluster.wait(
            *("deployment", product.DEPLOYMENT, "status.readyReplicas", "1"),
            namespace=product.NAMESPACE,
            deadline=deadline,
        )

    def scale(self, replicas: int) -> None:
        """Start or stop the operator, and wait until that is so.

        Raises:
            HostError: ProgramFailed, ProgramTimedOut.
        """
        self.kubectl("scale", f"deployment/{product.DEPLOYMENT}", f"--replicas={replicas}")
        if replicas:
            self.wait_ready()
        else:
            wait_for("the operator's end", lambda: " ".join(self.pods()) or None, deadline=60)

    def settings(self) -> Settings:
        """The settings that the operator runs with."""
        deployment = json.loads(self.kubectl("get", "deployment", product.DEPLOYMENT, "--output=json"))
        environment = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
        return from_environment({one["name"]: one.get("value", "") for one in environment})

    @property
    def image(self) -> str:
        """The image that the operator runs."""
        path = "--output=jsonpath={.spec.template.spec.containers[0].image}"
        return self.kubectl("get", "deployment", product.DEPLOYMENT, path)

    def kubectl(self, *arguments: str) -> str:
        """kubectl in the operator's namespace."""
        return self.cluster.kubectl(*arguments, f"--namespace={product.NAMESPACE}")

    def log(self) -> str:
        """The operator's log."""
        return self.kubectl("logs", f"deployment/{product.DEPLOYMENT}")

    def requests(self) -> Iterator[Json]:
        """What the operator has asked of the API server since the cluster was brought up (audit.k8s.io/v1, Event)."""
        user = f"system:serviceaccount:{product.NAMESPACE}:{product.DEPLOYMENT}"
        for line in self.cluster.layout.audit.read_text().splitlines():
            entry = json.loads(line)
            if entry["user"]["username"] == user:
                yield entry

    def audited(self, since: dt.datetime) -> tuple[set[Right], set[Right]]:
        """What the operator ever did on this cluster, and what it was denied since a moment."""
        done, denied = set(), set()
        for entry in self.requests():
            about = entry.get("objectRef")
            if not about or "resource" not in about:
                continue
            resource = "/".join(one for one in (about["resource"], about.get("subresource")) if one)
            group = about.get("apiGroup", "")
            what = (f"{resource}.{group}" if group else resource, entry["verb"])
            # A 403 of admission, as in a namespace that is being deleted, is no lack of rights.
            forbidden = entry["annotations"]["authorization.k8s.io/decision"] == "forbid"
            if not forbidden:
                done.add(what)
            elif dt.datetime.fromisoformat(entry["requestReceivedTimestamp"]) > since:
                denied.add(what)
        return done, denied

    def metrics(self) -> str:
        """What Prometheus would read, by way of the API server's proxy."""
        service = f"{product.DEPLOYMENT}-metrics:metrics"
        return self.kubectl("get", "--raw", f"/api/v1/namespaces/{product.NAMESPACE}/services/{service}/proxy/metrics")

    def pods(self) -> list[str]:
        """Names of the operator's pods."""
        return self.cluster.names("pod", product.NAMESPACE, "app.kubernetes.io/name=hyper2kvm-operator")


def _command(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return []
