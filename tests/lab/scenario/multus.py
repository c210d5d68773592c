"""Networks beside the pod network: Multus on the node, with bridges of the node as what it attaches pods to."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from lab.cluster.cluster import Cluster
from lab.cluster.templates import fill
from lab.scenario.objects import Json

NETWORKS = "k8s.v1.cni.cncf.io/networks"
"""Annotation of a pod: what it is to be attached to."""

STATUS = "k8s.v1.cni.cncf.io/network-status"
"""Annotation of a pod in which Multus says what it is attached to."""

_DEFINITION = "network-attachment-definitions.k8s.cni.cncf.io"


@contextmanager
def installed(cluster: Cluster) -> Iterator[None]:
    """Pods that start within the context get the networks that their annotations name.

    Raises:
        HostError: ProgramFailed with the API server's refusal; ProgramTimedOut.
    """
    cluster.apply(fill("manifests/network-attachment-definition.yaml"))
    cluster.kubectl("wait", "--for=condition=Established", f"crd/{_DEFINITION}", "--timeout=30s")
    # containerd reads its folder again with each change, and takes the first file.
    folder = cluster.layout.folder / "etc/cni"
    (others,) = folder.glob("*.conflist")
    configuration = folder / "00-multus.conf"
    configuration.write_text(_configuration(json.loads(others.read_text()), cluster))
    try:
        yield
    finally:
        configuration.unlink()


def bridge(name: str) -> Json:
    """A NetworkAttachmentDefinition of a bridge of the node, which its first pod makes."""
    plugin = {"cniVersion": "0.4.0", "name": name, "type": "bridge", "bridge": name, "ipam": {}}
    return {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": name},
        "spec": {"config": json.dumps({**plugin, "capabilities": {"mac": True}})},
    }


def _configuration(network: Json, cluster: Cluster) -> str:
    """Multus with the cluster's own network, or rather with its first plugin: of a list Multus forgets the details
    before it takes a pod off the network."""
    named = {key: network[key] for key in ("cniVersion", "name")}
    delegate = {**named, **network["plugins"][0]}
    plugin = {**named, "name": "multus", "type": "multus", "kubeconfig": str(cluster.kubeconfig)}
    return json.dumps({**plugin, "delegates": [delegate]})
