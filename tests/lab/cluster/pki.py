"""Keys, certificates and kubeconfigs: one identity a component, with the names that Kubernetes' own RBAC knows."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path

from hyper2kvm.run import run
from lab.cluster.layout import NODE, Layout

_EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650")


@dataclass(frozen=True)
class Identity:
    """Whom a certificate names.

    Attributes:
        file: name of its key and certificate, and of its kubeconfig.
        user: common name: the user that RBAC sees.
        group: organisation: the user's group; empty for none.
        kubeconfig: whether it calls the API server by a kubeconfig.
    """

    file: str
    user: str
    group: str = ""
    kubeconfig: bool = True

    @property
    def subject(self) -> str:
        """As openssl writes it."""
        return (f"/O={self.group}" if self.group else "") + f"/CN={self.user}"


FRONT_PROXY_USER = "front-proxy-client"
"""Only this user may tell an aggregated API server who is asking."""

IDENTITIES = (
    Identity("apiserver", "kube-apiserver", kubeconfig=False),
    Identity("apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters", kubeconfig=False),
    Identity("front-proxy", FRONT_PROXY_USER, kubeconfig=False),
    Identity("admin", "admin", "system:masters"),
    Identity("kubelet", f"system:node:{NODE}", "system:nodes"),
    Identity("kube-controller-manager", "system:kube-controller-manager"),
    Identity("kube-scheduler", "system:kube-scheduler"),
    Identity("kube-proxy", "system:kube-proxy"),
)


def make(layout: Layout) -> None:
    """Write all keys, certificates and kubeconfigs anew, readable by their owner only.

    Raises:
        HostError: ProgramMissing or ProgramFailed of openssl.
    """
    layout.pki.mkdir(mode=0o700, parents=True)
    authority = layout.pki / "ca"
    _openssl(
        "req", "-x509", *_EC, "-keyout", f"{authority}.key", "-out", f"{authority}.crt", "-subj", "/CN=hyper2kvm-lab"
    )
    for identity in IDENTITIES:
        _issue(layout, identity)
    _openssl(
        "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(layout.pki / "accounts.key")
    )
    _openssl("pkey", "-in", str(layout.pki / "accounts.key"), "-pubout", "-out", str(layout.pki / "accounts.pub"))
    for identity in IDENTITIES:
        if identity.kubeconfig:
            _write_private(layout.pki / f"{identity.file}.kubeconfig", kubeconfig(layout, identity.file))
    _write_private(layout.kubeconfig, kubeconfig(layout, "admin"))


def kubeconfig(layout: Layout, file: str) -> str:
    """A kubeconfig with everything embedded, so that it may be copied elsewhere."""

    def embedded(path: Path) -> str:
        return base64.b64encode(path.read_bytes()).decode()

    key, certificate = layout.pki / f"{file}.key", layout.pki / f"{file}.crt"
    cluster = {"server": layout.api_server, "certificate-authority-data": embedded(layout.pki / "ca.crt")}
    user = {"client-certificate-data": embedded(certificate), "client-key-data": embedded(key)}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": file, "user": user}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": file}}],
            "current-context": "lab",
        },
        indent=1,
    )


def alternative_names(layout: Layout) -> str:
    """The names and addresses under which the API server is reached, as a subjectAltName."""
    names = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ]
    addresses = ["127.0.0.1", str(layout.node_address), str(layout.services[1])]
    return ",".join([*(f"DNS:{name}" for name in names), *(f"IP:{address}" for address in addresses)])


def _issue(layout: Layout, identity: Identity) -> None:
    path, authority = layout.pki / identity.file, layout.pki / "ca"
    names = alternative_names(layout) if identity.file == "apiserver" else f"DNS:{NODE}"
    _openssl(
        *("req", "-x509", *_EC),
        *("-CA", f"{authority}.crt", "-CAkey", f"{authority}.key"),
        *("-keyout", f"{path}.key", "-out", f"{path}.crt"),
        *("-subj", identity.subject, "-addext", f"subjectAltName={names}"),
        *("-addext", "basicConstraints=critical,CA:FALSE"),
    )


def _openssl(*arguments: str) -> None:
    run(["openssl", *arguments], deadline=60)


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
