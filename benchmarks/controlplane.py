"""etcd and kube-apiserver alone, on loopback: nothing but the bench acts on what is created there."""

import socket
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from types import TracebackType
from typing import Self

from hyper2kvm.run import Service
from lab.cluster import pki
from lab.cluster.binaries import KUBERNETES, ensure_built
from lab.cluster.kubectl import Kubectl
from lab.cluster.layout import Layout

_DEADLINE = 120.0
_LOOPBACK = IPv4Address("127.0.0.1")


@dataclass(frozen=True)
class _Loopback(Layout):
    """Keys and kubeconfigs of an API server on loopback."""

    place: Path = Path()
    port: int = 0

    @property
    def folder(self) -> Path:
        return self.place

    @property
    def node_address(self) -> IPv4Address:
        return _LOOPBACK

    @property
    def api_server(self) -> str:
        return f"https://{_LOOPBACK}:{self.port}"


class ControlPlane:
    """A Kubernetes API without controllers and nodes, as a context manager; everything ends with it.

    Attributes:
        layout: its keys and kubeconfigs.
        kubectl: kubectl as its administrator.
    """

    def __init__(self, folder: Path) -> None:
        """`folder` takes all that it writes."""
        self.layout = _Loopback(place=folder, port=free_port())
        self.kubectl = Kubectl(self.layout.kubeconfig)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        ensure_built(KUBERNETES)
        folder = self.layout.folder
        folder.mkdir(parents=True)
        pki.make(self.layout)
        client, peer = free_port(), free_port()
        with ExitStack() as stack:
            stack.enter_context(Service(_etcd(folder, client, peer), log=folder / "etcd.log"))
            stack.enter_context(Service(_api_server(self.layout, client), log=folder / "apiserver.log"))
            self._wait()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _wait(self) -> None:
        until = time.monotonic() + _DEADLINE
        while self.kubectl.run("get", "--raw=/readyz", check=False).code != 0:
            if time.monotonic() > until:
                raise TimeoutError((self.layout.folder / "apiserver.log").read_text()[-2000:])
            time.sleep(0.5)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((str(_LOOPBACK), 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bytes | None:
    """What an HTTP server says, or None when it does not say 200."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 -- the bench's own servers
            return bytes(answer.read())
    except (urllib.error.URLError, OSError):
        return None


def _etcd(folder: Path, client: int, peer: int) -> list[str]:
    return [
        "etcd",
        f"--data-dir={folder}/etcd",
        f"--listen-client-urls=http://{_LOOPBACK}:{client}",
        f"--advertise-client-urls=http://{_LOOPBACK}:{client}",
        f"--listen-peer-urls=http://{_LOOPBACK}:{peer}",
        "--unsafe-no-fsync",
    ]


def _api_server(layout: _Loopback, etcd: int) -> list[str]:
    keys = layout.pki
    return [
        str(KUBERNETES.program("kube-apiserver")),
        f"--etcd-servers=http://{_LOOPBACK}:{etcd}",
        f"--bind-address={_LOOPBACK}",
        f"--secure-port={layout.port}",
        # Nobody reaches it by the Service `kubernetes`.
        "--advertise-address=192.0.2.1",
        "--endpoint-reconciler-type=none",
        f"--service-cluster-ip-range={layout.services}",
        f"--tls-cert-file={keys}/apiserver.crt",
        f"--tls-private-key-file={keys}/apiserver.key",
        f"--client-ca-file={keys}/ca.crt",
        f"--kubelet-client-certificate={keys}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={keys}/apiserver-kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={keys}/accounts.pub",
        f"--service-account-signing-key-file={keys}/accounts.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--authorization-mode=RBAC",
        # No controller makes the namespaces' accounts.
        "--disable-admission-plugins=ServiceAccount",
    ]
