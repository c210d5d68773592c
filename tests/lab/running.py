"""Machines that KubeVirt runs: what their consoles show."""

import json
from pathlib import Path

from lab.cluster.cluster import Cluster
from lab.cluster.progress import wait_for

_CONSOLE = "guest-console-log"
"""KubeVirt's container in a launcher pod that logs the first serial port."""


def wait_running(cluster: Cluster, namespace: str, name: str, *, deadline: float = 300) -> None:
    """Wait until KubeVirt runs a machine.

    Raises:
        HostError: ProgramTimedOut with its phase.
    """
    cluster.wait("virtualmachineinstance", name, "status.phase", "Running", namespace=namespace, deadline=deadline)


def wait_console(cluster: Cluster, namespace: str, name: str, words: str, *, deadline: float = 600) -> str:
    """Wait until a machine's serial console has shown words; all that it has shown.

    Raises:
        HostError: ProgramTimedOut with the console's last line.
    """

    def missing() -> str | None:
        told = console(cluster, namespace, name)
        lines = [line for line in told.splitlines() if line.strip()]
        return None if words in told else f"its console shows {lines[-1][:90] if lines else 'nothing'!r}"

    wait_for(f"{words!r} on the console of {namespace}/{name}", missing, deadline=deadline, pause=2)
    return console(cluster, namespace, name)


def belongings(cluster: Cluster, namespace: str, name: str) -> list[str]:
    """A running machine and what KubeVirt has made for it, as `kind/name`."""
    uid = cluster.kubectl.field("virtualmachine", name, "metadata.uid", namespace)
    launchers = cluster.names("pod", namespace, f"vm.kubevirt.io/name={name}")
    # Its specification, those of its instance type and preference, and the state of its TPM.
    owned = [
        f"{kind}/{one['metadata']['name']}"
        for kind in ("controllerrevision", "persistentvolumeclaim")
        for one in cluster.items(kind, namespace)
        if uid in {owner["uid"] for owner in one["metadata"].get("ownerReferences", [])}
    ]
    return [
        f"virtualmachine/{name}",
        f"virtualmachineinstance/{name}",
        *(f"pod/{launcher}" for launcher in launchers),
        *owned,
    ]


def console(cluster: Cluster, namespace: str, name: str) -> str:
    """What a machine's serial console has shown; empty before it starts."""
    selector = f"--selector=vm.kubevirt.io/name={name}"
    pods = json.loads(cluster.kubectl("get", "pod", f"--namespace={namespace}", selector, "--output=json"))["items"]
    told = ""
    for pod in pods:
        where = (pod["metadata"]["name"], f"--namespace={namespace}", f"--container={_CONSOLE}")
        told += cluster.kubectl.run("logs", *where, check=False).text
    return told


def screenshot(cluster: Cluster, namespace: str, name: str, target: Path) -> None:
    """Write a picture (PNG) of a machine's screen, as KubeVirt's API gives it.

    Raises:
        HostError: ProgramFailed.
    """
    path = f"/apis/subresources.kubevirt.io/v1/namespaces/{namespace}/virtualmachineinstances/{name}/vnc/screenshot"
    target.write_bytes(cluster.kubectl.run("get", "--raw", path, deadline=60).stdout)
