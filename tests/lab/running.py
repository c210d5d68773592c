"""Machines that KubeVirt runs: what their consoles show."""

import json
import re
import time
from pathlib import Path

from hyper2kvm_api.errors import HostError
from lab.cluster.cluster import Cluster
from lab.cluster.progress import say, wait_for

_CONSOLE = "guest-console-log"
"""KubeVirt's container in a launcher pod that logs the first serial port."""

_STALLED = re.compile(r"rcu: INFO: \w+ (self-)?detected stall")
STALLED_SECONDS = 60.0
"""For which a kernel that has stalled may go on by itself."""

PAUSE = 2.0
"""Seconds between two looks at a console."""

_STARTS_AGAIN = 2
_QUOTED = 40
"""Lines of a console in an error."""


def wait_running(cluster: Cluster, namespace: str, name: str, *, deadline: float = 300) -> None:
    """Wait until KubeVirt runs a machine.

    Raises:
        HostError: ProgramTimedOut with its phase.
    """
    cluster.wait("virtualmachineinstance", name, "status.phase", "Running", namespace=namespace, deadline=deadline)


def wait_console(cluster: Cluster, namespace: str, name: str, words: str, *, deadline: float = 600) -> str:
    """Wait until a machine's serial console has shown words; all that it has shown.

    On a busy host, Linux may wait for ever for the second of two processors that are emulated. It says so, and such a
    machine is started again: emulation is this lab's, not the user's.

    Raises:
        HostError: ProgramTimedOut with what its console shows; ProgramFailed.
    """
    stall = _Stall(cluster, namespace, name)

    def missing() -> str | None:
        told = console(cluster, namespace, name)
        if words in told:
            return None
        stall.look(told)
        return f"its console shows {(_lines(told) or ['nothing'])[-1][:90]!r}"

    try:
        wait_for(f"{words!r} on the console of {namespace}/{name}", missing, deadline=deadline, pause=PAUSE)
    except HostError as error:
        shown = "\n".join(_lines(console(cluster, namespace, name))[-_QUOTED:])
        raise HostError(error.reason, f"{error.message}\n--- the console\n{shown}\n---", hint=error.hint) from None
    return console(cluster, namespace, name)


class _Stall:
    """Starts a machine again whose kernel has said that a processor stalls, and has not gone on since."""

    def __init__(self, cluster: Cluster, namespace: str, name: str) -> None:
        self._machine = (cluster, namespace, name)
        self._seen: float | None = None
        self._left = _STARTS_AGAIN

    def look(self, told: str) -> None:
        """Act on what the console has shown.

        Raises:
            HostError: ProgramFailed, ProgramTimedOut.
        """
        if not self._left or not _STALLED.search(told):
            return
        now = time.monotonic()
        self._seen = self._seen or now
        if now - self._seen < STALLED_SECONDS:
            return
        cluster, namespace, name = self._machine
        say(f"{namespace}/{name}: its kernel says that a processor stalls. KubeVirt starts it again")
        # Its VirtualMachine is to run always: it makes another instance.
        cluster.kubectl("delete", "virtualmachineinstance", name, f"--namespace={namespace}", deadline=120)
        self._seen = None
        self._left -= 1


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


def _lines(told: str) -> list[str]:
    return [line for line in told.splitlines() if line.strip()]
