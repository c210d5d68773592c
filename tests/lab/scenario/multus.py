"""Networks beside the pod network: Multus on the node, and bridges of the node as what it attaches pods to."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lab.cluster.cluster import Cluster
from lab.cluster.progress import wait_for
from lab.cluster.templates import fill
from lab.scenario.objects import Json

_KNOCK = "import socket, sys; socket.create_connection((sys.argv[1], 9), timeout=2)"
"""A try to connect, whatever comes of it: the node asks who has the address."""


@contextmanager
def installed(cluster: Cluster) -> Iterator[None]:
    """Pods that start within the context get the networks that their annotations name.

    Raises:
        HostError: ProgramFailed with the API server's refusal; ProgramTimedOut.
    """
    cluster.apply(fill("manifests/network-attachment-definition.yaml"))
    definition = "network-attachment-definitions.k8s.cni.cncf.io"
    cluster.kubectl("wait", "--for=condition=Established", f"crd/{definition}", "--timeout=30s")
    # containerd reads its folder again with each change, and takes the first file.
    folder = cluster.layout.folder / "etc/cni"
    (others,) = folder.glob("*.conflist")
    configuration = folder / "00-multus.conf"
    configuration.write_text(_configuration(json.loads(others.read_text()), cluster))
    try:
        yield
    finally:
        configuration.unlink()


def _configuration(network: Json, cluster: Cluster) -> str:
    """Multus with the cluster's own network, or rather with its first plugin: of a list Multus forgets the details
    before it takes a pod off the network."""
    named = {key: network[key] for key in ("cniVersion", "name")}
    delegate = {**named, **network["plugins"][0]}
    plugin = {**named, "name": "multus", "type": "multus", "kubeconfig": str(cluster.kubeconfig)}
    return json.dumps({**plugin, "delegates": [delegate]})


@contextmanager
def bridge(cluster: Cluster, name: str, address: str) -> Iterator[Json]:
    """A NetworkAttachmentDefinition of a bridge, where the node has an address with prefix length, as a router would.

    Raises:
        HostError: ProgramFailed of ip(8).
    """
    cluster.node_exec("ip", "link", "add", name, "type", "bridge")
    try:
        cluster.node_exec("ip", "address", "add", address, "dev", name)
        cluster.node_exec("ip", "link", "set", name, "up")
        plugin = {"cniVersion": "0.4.0", "name": name, "type": "bridge", "bridge": name, "ipam": {}}
        yield {
            "apiVersion": "k8s.cni.cncf.io/v1",
            "kind": "NetworkAttachmentDefinition",
            "metadata": {"name": name},
            "spec": {"config": json.dumps(plugin)},
        }
    finally:
        cluster.node_exec("ip", "link", "delete", name)


def wait_neighbour(cluster: Cluster, bridge: str, address: str, mac: str, *, deadline: float = 60) -> None:
    """Wait until an adapter answers on a bridge: it has the IPv4 and the MAC address (ip-neighbour(8)).

    Raises:
        HostError: ProgramTimedOut with what the node knows of the address instead.
    """

    def missing() -> str | None:
        cluster.node_exec(sys.executable, "-c", _KNOCK, address, check=False)
        told = cluster.node_exec("ip", "-json", "neighbour", "show", address, "dev", bridge).text
        found = {one.get("lladdr") for one in json.loads(told)}
        return None if found == {mac} else f"{address} is the address of {found or 'nobody'}"

    wait_for(f"{mac} on {bridge}", missing, deadline=deadline, pause=1)
