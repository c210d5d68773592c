"""The cluster's way to the host: one veth pair between its network namespace and the host's, and one route.

Everything else of the cluster's network (pods' links, iptables chains) is inside the namespace and ends with it.
"""

from collections.abc import Sequence

from hyper2kvm.run import run
from lab.cluster.layout import Layout

_UPLINK = "uplink"
"""The node's end of the pair."""


def host_commands(layout: Layout, pid: int) -> list[list[str]]:
    """What is run on the host; `pid` is of a process in the cluster's network namespace."""
    return [
        ["ip", "link", "add", layout.link, "type", "veth", "peer", "name", _UPLINK, "netns", str(pid)],
        ["ip", "address", "add", f"{layout.host_address}/30", "dev", layout.link],
        ["ip", "link", "set", layout.link, "up"],
        ["ip", "route", "add", str(layout.network), "via", str(layout.node_address)],
    ]


def node_commands(layout: Layout) -> list[list[str]]:
    """What is run inside the namespace.

    There is no default route: a call to anything outside fails at once instead of timing out. Services need a route
    all the same, because the kernel looks one up before kube-proxy's rules rewrite the address.
    """
    return [
        ["ip", "link", "set", "lo", "up"],
        ["ip", "address", "add", f"{layout.node_address}/30", "dev", _UPLINK],
        ["ip", "link", "set", _UPLINK, "up"],
        ["ip", "route", "add", str(layout.services), "via", str(layout.host_address)],
        ["sysctl", "--quiet", "--write", "net.ipv4.ip_forward=1"],
    ]


def connect(layout: Layout, pid: int) -> None:
    """Connect the namespace of a process to the host.

    Raises:
        HostError: ProgramFailed, as when an address of the cluster is in use.
    """
    for command in host_commands(layout, pid):
        run(command, deadline=10, hint=f"Is {layout.network} in use on this machine? See `ip route`.")
    for command in node_commands(layout):
        run(in_network(pid, command), deadline=10)


def in_network(pid: int, command: Sequence[str]) -> list[str]:
    """A command line that runs in the network namespace of a process."""
    return ["nsenter", "--target", str(pid), "--net", "--", *command]


def disconnect(layout: Layout) -> None:
    """Remove the pair, if it is there. The kernel does it too, some time after the namespace's last process."""
    run(["ip", "link", "delete", layout.link], deadline=10, check=False)


def connected(layout: Layout) -> bool:
    """Whether the host's end exists."""
    return run(["ip", "link", "show", layout.link], deadline=10, check=False).code == 0
