"""Whether the node's components are healthy, each asked in its own way."""

import ssl
import urllib.error
import urllib.request
from collections.abc import Callable

from hyper2kvm.run import run
from lab.cluster import namespace
from lab.cluster.kubectl import Kubectl
from lab.cluster.layout import NODE, Layout
from lab.cluster.progress import wait_for
from lab.cluster.services import CONTAINERD_SOCKET

_SECONDS = 3.0

ORDER = (
    "containerd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "coredns",
)
"""The API server's answer includes etcd's."""


def urls(layout: Layout) -> dict[str, str]:
    """Component → where it answers whether it is healthy, without credentials."""
    node = layout.node_address
    return {
        "kube-apiserver": f"{layout.api_server}/readyz",
        "kube-controller-manager": f"https://{node}:10257/healthz",
        "kube-scheduler": f"https://{node}:10259/healthz",
        "kube-proxy": f"http://{node}:10256/healthz",
        "coredns": f"http://{node}:8181/ready",
    }


def wait_until_healthy(layout: Layout, pid: int) -> None:
    """Wait for one component after the other, and then until the cluster takes pods.

    Raises:
        HostError: ProgramTimedOut, with the last lines of the log of the one that is not; ProgramFailed when no
            pod is taken.
    """
    checks = {name: _asking(url) for name, url in urls(layout).items()}
    checks |= {"containerd": lambda: _containerd(pid), "kubelet": lambda: _node(Kubectl(layout.kubeconfig))}
    for name in ORDER:
        wait_for(name, checks[name], deadline=120, log=layout.logs / f"{name}.log", pause=0.2)
    Kubectl(layout.kubeconfig).await_account("default")


def _asking(url: str) -> Callable[[], str | None]:
    return lambda: asked(url)


def asked(url: str) -> str | None:
    """None when the URL answers 200, else what went wrong.

    Certificates are not verified: the scheduler and the controller manager sign their own.
    """
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS, context=context):  # noqa: S310 -- a URL of ours
            return None
    except urllib.error.HTTPError as error:
        with error:
            return f"{url} answers {error.code}"
    except OSError as error:
        return f"{url}: {error}"


def _containerd(pid: int) -> str | None:
    asked_for = namespace.inside(pid, ["ctr", "--address", CONTAINERD_SOCKET, "version"])
    return None if run(asked_for, deadline=10, check=False).code == 0 else "its socket does not answer"


def _node(kubectl: Kubectl) -> str | None:
    conditions = (kubectl.get("node", NODE) or {}).get("status", {}).get("conditions", [])
    ready = next((one for one in conditions if one["type"] == "Ready"), {"status": "", "message": "no such node"})
    return None if ready["status"] == "True" else str(ready["message"])
