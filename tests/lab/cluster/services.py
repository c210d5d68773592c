"""The node's programs with their flags, in the order of their start, and the mounts that they need."""

import os
import shutil
import sys
from pathlib import Path

from lab.cluster.binaries import KUBERNETES
from lab.cluster.layout import NODE, Layout
from lab.cluster.pki import FRONT_PROXY_USER
from lab.cluster.supervisor import Node, Service

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
"""In the cluster's own /run."""

_ETCD = "127.0.0.1:2379"

_GARBAGE = "400"
"""Go collects when there is four times as much garbage as use (GOGC): here memory is plenty, and processors are not."""


def node(layout: Layout) -> Node:
    """All that runs on the node."""
    server = f"{layout.node_address}:6443"
    return Node(
        prepare=mounts(layout),
        logs=layout.logs,
        services=(
            _service(layout, "etcd", _etcd(layout)),
            _service(layout, "containerd", _containerd(layout)),
            _service(layout, "kube-apiserver", _api_server(layout), _ETCD),
            _service(layout, "kube-controller-manager", _controller_manager(layout), server),
            _service(layout, "kube-scheduler", _scheduler(layout), server),
            _service(layout, "kubelet", _kubelet(layout), server, CONTAINERD_SOCKET),
            _service(layout, "kube-proxy", _proxy(layout), server),
            _service(layout, "coredns", _dns(layout), server),
            _service(layout, "provisioner", _provisioner(layout), server),
        ),
    )


def mounts(layout: Layout) -> tuple[tuple[str, ...], ...]:
    """Commands that give the node a /run, /var/lib and /var/log of its own, for what Kubernetes and KubeVirt put there.

    The kubelet's folder is no overlay: it holds the pods' volumes. mount(8) and containerd look for what they start in
    one place only.
    """
    folder = layout.folder
    overlay = f"lowerdir=/var/lib,upperdir={folder}/var-lib,workdir={folder}/var-lib-work"
    return (
        ("mount", "--make-rprivate", "/"),
        ("mount", "--types", "tmpfs", "--options", "mode=755", "tmpfs", "/run"),
        ("mkdir", "--parents", "/run/lock", "/run/containerd"),
        ("mount", "--types", "overlay", "--options", overlay, "overlay", "/var/lib"),
        ("mkdir", "--parents", "/var/lib/kubelet"),
        ("mount", "--bind", f"{folder}/kubelet", "/var/lib/kubelet"),
        ("mount", "--bind", f"{folder}/var-log", "/var/log"),
        *_added(folder / "sbin", "/usr/sbin"),
        *_added(folder / "plugins", "/usr/lib/cni"),
        ("mount", "--make-rshared", "/"),
    )


def make_folders(layout: Layout) -> None:
    """Make the folders that services and mounts expect."""
    inside = (
        "logs",
        "home",
        "etcd",
        "containerd",
        "kubelet",
        "var-lib",
        "var-lib-work",
        "var-log",
        "volumes",
        "etc/cni",
        "sbin",
        "plugins",
    )
    for name in inside:
        (layout.folder / name).mkdir(parents=True, exist_ok=True)
    helper = layout.folder / "sbin/mount.nfs"
    shutil.copyfile(Path(__file__).with_name("nfsclient.py"), helper)
    helper.chmod(0o755)
    plugin = layout.folder / "plugins/multus"
    plugin.unlink(missing_ok=True)
    plugin.symlink_to(_program(plugin.name))


def _added(upper: Path, folder: str) -> tuple[tuple[str, ...], ...]:
    """What mounts a folder with the files of another one in it."""
    return (("mount", "--types", "overlay", "--options", f"lowerdir={upper}:{folder}", "overlay", folder),)


def _service(layout: Layout, name: str, arguments: list[str], *after: str) -> Service:
    environment = {"PATH": os.environ["PATH"], "HOME": str(layout.home), "LANG": "C.UTF-8", "GOGC": _GARBAGE}
    if name == "provisioner":
        environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    return Service(name=name, arguments=tuple(arguments), after=after, environment=environment)


def _program(name: str) -> str:
    return str(KUBERNETES.program(name))


def _etcd(layout: Layout) -> list[str]:
    return [
        "etcd",
        f"--data-dir={layout.folder}/etcd",
        f"--listen-client-urls=http://{_ETCD}",
        f"--advertise-client-urls=http://{_ETCD}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--unsafe-no-fsync",
    ]


def _containerd(layout: Layout) -> list[str]:
    return ["containerd", "--config", f"{layout.folder}/etc/containerd.toml"]


def _api_server(layout: Layout) -> list[str]:
    pki = layout.pki
    return [
        _program("kube-apiserver"),
        f"--etcd-servers=http://{_ETCD}",
        "--secure-port=6443",
        f"--advertise-address={layout.node_address}",
        f"--service-cluster-ip-range={layout.services}",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={pki}/accounts.pub",
        f"--service-account-signing-key-file={pki}/accounts.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        # CDI's and KubeVirt's aggregated API servers and webhooks are pods.
        "--enable-aggregator-routing=true",
        f"--requestheader-client-ca-file={pki}/ca.crt",
        f"--requestheader-allowed-names={FRONT_PROXY_USER}",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={pki}/front-proxy.crt",
        f"--proxy-client-key-file={pki}/front-proxy.key",
        f"--audit-policy-file={layout.folder}/etc/audit.yaml",
        f"--audit-log-path={layout.audit}",
    ]


def _controller_manager(layout: Layout) -> list[str]:
    pki = layout.pki
    return [
        _program("kube-controller-manager"),
        f"--kubeconfig={pki}/kube-controller-manager.kubeconfig",
        f"--authentication-kubeconfig={pki}/kube-controller-manager.kubeconfig",
        f"--authorization-kubeconfig={pki}/kube-controller-manager.kubeconfig",
        f"--service-account-private-key-file={pki}/accounts.key",
        f"--root-ca-file={pki}/ca.crt",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        "--use-service-account-credentials",
        "--leader-elect=false",
    ]


def _scheduler(layout: Layout) -> list[str]:
    kubeconfig = f"{layout.pki}/kube-scheduler.kubeconfig"
    return [
        _program("kube-scheduler"),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=false",
    ]


def _kubelet(layout: Layout) -> list[str]:
    return [
        _program("kubelet"),
        f"--config={layout.folder}/etc/kubelet.yaml",
        f"--kubeconfig={layout.pki}/kubelet.kubeconfig",
        f"--hostname-override={NODE}",
        f"--node-ip={layout.node_address}",
        # KubeVirt's device plugins and mounts expect the default place.
        "--root-dir=/var/lib/kubelet",
    ]


def _proxy(layout: Layout) -> list[str]:
    return [
        _program("kube-proxy"),
        f"--kubeconfig={layout.pki}/kube-proxy.kubeconfig",
        f"--hostname-override={NODE}",
        "--proxy-mode=iptables",
        f"--cluster-cidr={layout.pods}",
        f"--healthz-bind-address={layout.node_address}:10256",
        # These are settings of the whole machine: a network namespace may not write them.
        "--conntrack-max-per-core=0",
        "--conntrack-min=0",
        "--conntrack-tcp-timeout-established=0s",
        "--conntrack-tcp-timeout-close-wait=0s",
    ]


def _dns(layout: Layout) -> list[str]:
    return [_program("coredns"), "-conf", f"{layout.folder}/etc/Corefile"]


def _provisioner(layout: Layout) -> list[str]:
    return [sys.executable, "-m", "lab.cluster.provisioner", str(layout.kubeconfig), str(layout.volumes)]
