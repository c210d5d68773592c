"""kubectl as a function: arguments in, text or documents out."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyper2kvm.run import Completed, run
from lab.cluster.api import Api
from lab.cluster.binaries import KUBERNETES

NOBODY = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
users: [{name: u, user: {}}]
current-context: c
"""
"""A kubeconfig of a cluster that there is not: whoever asks it is refused."""


@dataclass(frozen=True)
class Kubectl:
    """A kubectl of the cluster's own version.

    Attributes:
        kubeconfig: who calls what.
    """

    kubeconfig: Path

    @property
    def api(self) -> Api:
        """What is on the cluster, for whoever looks often."""
        return Api(self.kubeconfig)

    @property
    def environment(self) -> dict[str, str]:
        """Variables for kubectl, and for Helm on the same cluster: what they cache lies beside the kubeconfig."""
        return caches(self.kubeconfig.with_name("home"))

    def run(self, *arguments: str, stdin: str | None = None, deadline: float = 60, check: bool = True) -> Completed:
        """Run kubectl to its end.

        Raises:
            HostError: ProgramFailed with what the API server said, ProgramTimedOut.
        """
        return run(
            [str(KUBERNETES.program("kubectl")), f"--kubeconfig={self.kubeconfig}", *arguments],
            stdin=stdin.encode() if stdin is not None else None,
            deadline=deadline,
            environment=self.environment,
            check=check,
        )

    def __call__(self, *arguments: str, stdin: str | None = None, deadline: float = 60) -> str:
        """What kubectl prints.

        Raises:
            HostError: as `run`.
        """
        return self.run(*arguments, stdin=stdin, deadline=deadline).text

    def apply(self, manifest: str, *, namespace: str = "") -> None:
        """Apply YAML or JSON on the server's side; a field that another manager has set is taken over.

        Raises:
            HostError: as `run`.
        """
        where = [f"--namespace={namespace}"] if namespace else []
        self("apply", "--server-side", "--force-conflicts", *where, "--filename=-", stdin=manifest)

    def make_namespace(self, name: str) -> None:
        """Make a namespace that takes pods, unless it exists.

        Raises:
            HostError: as `run`.
        """
        self.apply(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
        self.await_account(name)

    def await_account(self, namespace: str) -> None:
        """Wait until a namespace takes pods: the controller manager gives it the account that they run as.

        Raises:
            HostError: as `run`.
        """
        self("wait", "--for=create", "serviceaccount/default", f"--namespace={namespace}", "--timeout=60s", deadline=70)

    def get(self, kind: str, name: str, namespace: str = "default") -> dict[str, Any] | None:
        """One object, or None when there is none, or not yet such a kind.

        Raises:
            HostError: ProgramFailed for any other refusal.
        """
        return self.api.get(kind, name, namespace)

    def unready(self, namespace: str) -> str:
        """The pods of a namespace that are not ready, each with what holds it up; empty when all are."""
        states = {pod["metadata"]["name"]: _held_up(pod["status"]) for pod in self.api.items("pod", namespace)}
        return ", ".join(f"{name} ({state})" for name, state in states.items() if state)

    def field(self, kind: str, name: str, path: str, namespace: str = "default") -> str:
        """One field as text, by its dotted path; empty when it, or the object, is absent."""
        value: Any = self.get(kind, name, namespace) or {}
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return "" if value is None else str(value)

    def image(self, deployment: str, namespace: str) -> str:
        """The image of a Deployment's first container; empty when there is no such Deployment."""
        found = self.get("deployment", deployment, namespace)
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"]) if found else ""


def caches(folder: Path) -> dict[str, str]:
    """Variables that make kubectl and Helm write into a folder instead of the user's home."""
    return {
        "KUBECACHEDIR": str(folder / "kube"),
        "HELM_CACHE_HOME": str(folder / "helm/cache"),
        "HELM_CONFIG_HOME": str(folder / "helm/config"),
        "HELM_DATA_HOME": str(folder / "helm/data"),
    }


def _held_up(status: dict[str, Any]) -> str:
    """Why a pod with this status is not ready; empty when it is."""
    containers = status.get("containerStatuses", [])
    if status.get("phase") == "Succeeded":
        return ""
    if containers and all(one["ready"] for one in containers):
        return ""
    reasons = [state.get("reason", "not ready") for one in containers for state in one["state"].values()]
    return " ".join(reasons) or str(status.get("phase"))
