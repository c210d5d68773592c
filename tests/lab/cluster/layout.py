"""Where a cluster lives: its folders, addresses and names. Everything that it leaves on the machine is named here."""

import os
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

CACHE = Path(os.environ.get("HYPER2KVM_CACHE", "~/.cache/hyper2kvm")).expanduser().resolve()
"""What can be made again, and takes time to make."""

NODE = "lab"
"""The only node's name."""

_TEST_NETWORK = IPv4Network("198.18.0.0/15")
"""Kept for tests by RFC 2544: no LAN and no container engine uses its addresses."""


@dataclass(frozen=True)
class Layout:
    """One cluster on this machine.

    Attributes:
        name: tells two clusters on one machine apart; at most 10 characters, as network links are named after it.
        number: which quarter of the test network is its own, 0 to 3.
    """

    name: str = "run"
    number: int = 0

    @property
    def folder(self) -> Path:
        """All that the running cluster writes. `down` removes it."""
        return CACHE / "cluster" / self.name

    @property
    def logs(self) -> Path:
        """One log a component."""
        return self.folder / "logs"

    @property
    def home(self) -> Path:
        """The home folder of everything that runs for the cluster: nothing is written into the user's."""
        return self.folder / "home"

    @property
    def audit(self) -> Path:
        """What the product's service accounts asked of the API server, a line of JSON each."""
        return self.logs / "audit.jsonl"

    @property
    def pki(self) -> Path:
        """Keys, certificates and the components' kubeconfigs."""
        return self.folder / "pki"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's way in, usable on the host."""
        return self.folder / "admin.kubeconfig"

    @property
    def pod_logs(self) -> Path:
        """The kubelet's logs of pods: NAMESPACE_NAME_UID/CONTAINER/NUMBER.log."""
        return self.folder / "var-log/pods"

    @property
    def volumes(self) -> Path:
        """Image files behind the persistent volumes, and where the cluster's mount namespace has them mounted."""
        return self.folder / "volumes"

    @property
    def before(self) -> Path:
        """What the host was like before: kernel settings to restore. Beside the folder, as it is removed last."""
        return self.folder.with_suffix(".before.json")

    @property
    def lock(self) -> Path:
        """Held by whoever starts or ends the cluster."""
        return self.folder.with_suffix(".lock")

    @property
    def link(self) -> str:
        """The host's end of the veth pair into the cluster's network namespace."""
        return f"h2k-{self.name}"

    @property
    def cgroup(self) -> str:
        """Control group of the pods, in every hierarchy."""
        return f"hyper2kvm-{self.name}"

    @property
    def network(self) -> IPv4Network:
        """All addresses of the cluster. The host has one route to them."""
        return list(_TEST_NETWORK.subnets(new_prefix=17))[self.number]

    @property
    def host_address(self) -> IPv4Address:
        """The host as the cluster sees it; pods reach servers on the host there."""
        return self.network[1]

    @property
    def node_address(self) -> IPv4Address:
        """The node: API server, DNS and node ports."""
        return self.network[2]

    @property
    def pods(self) -> IPv4Network:
        """Addresses of pods."""
        return list(self.network.subnets(new_prefix=19))[1]

    @property
    def services(self) -> IPv4Network:
        """Addresses of Services. The first is the API server's."""
        return list(self.network.subnets(new_prefix=19))[2]

    @property
    def api_server(self) -> str:
        """URL of the API server, reachable from the host and from the node."""
        return f"https://{self.node_address}:6443"


RUN = Layout()
"""The cluster of demonstrations and tests."""

APART = Layout("apart", 1)
"""A second one beside it, for tests of what others would suffer from."""

SPARE = Layout("spare", 2)
"""A third one, for who measures or tests how clusters come and go."""
