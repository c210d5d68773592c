"""A running cluster as tests use it: objects in, objects out, and the faults that a cluster can have."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hyper2kvm.run import Completed, run
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from lab.cluster import images, kubevirt, lifecycle, namespace, runtime
from lab.cluster.addons import Addon
from lab.cluster.containerfiles import Build, build_image
from lab.cluster.health import wait_until_healthy
from lab.cluster.kubectl import Kubectl
from lab.cluster.layout import RUN, Layout
from lab.cluster.progress import wait_for


class Cluster:
    """The lab's cluster.

    Attributes:
        layout: its folders and addresses.
        kubectl: kubectl as its administrator.
    """

    def __init__(self, layout: Layout = RUN) -> None:
        """A cluster that runs already, or that `up` starts."""
        self.layout = layout
        self.kubectl = Kubectl(self.layout.kubeconfig)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.layout.kubeconfig

    @property
    def running(self) -> bool:
        """Whether its processes run."""
        return namespace.find(self.layout) is not None

    @property
    def has_kubevirt(self) -> bool:
        """Whether KubeVirt is deployed on it."""
        return self.running and kubevirt.deployed(self.kubectl)

    @property
    def tools_image(self) -> str:
        """An image with a shell, curl, nginx and qemu-img, for pods with `imagePullPolicy: Never`."""
        return images.tools().references[0]

    def up(self, *addons: Addon, meanwhile: Callable[[], None] | None = None) -> None:
        """Start it, or what is missing of it.

        Args:
            addons: what it is to have beyond Kubernetes.
            meanwhile: called while they are being deployed.

        Raises:
            HostError: as `lifecycle.up`.
        """
        lifecycle.up(self.layout, addons, meanwhile)

    def down(self) -> None:
        """Remove it without a trace.

        Raises:
            HostError: as `lifecycle.down`.
        """
        lifecycle.down(self.layout)

    def apply(self, *manifests: str | dict[str, Any], namespace: str = "") -> None:
        """Apply YAML texts or objects.

        Raises:
            HostError: ProgramFailed with the API server's refusal.
        """
        for one in manifests:
            self.kubectl.apply(one if isinstance(one, str) else json.dumps(one), namespace=namespace)

    def get(self, kind: str, name: str, namespace: str = "default") -> dict[str, Any] | None:
        """One object, or None.

        Raises:
            HostError: ProgramFailed for any refusal but "not found".
        """
        return self.kubectl.get(kind, name, namespace)

    def names(self, kind: str, namespace: str = "default", selector: str = "") -> list[str]:
        """Names of the objects of a kind.

        Raises:
            HostError: ProgramFailed.
        """
        return [one["metadata"]["name"] for one in self.items(kind, namespace, selector)]

    def items(
        self, kind: str, namespace: str | None = None, selector: str = "", fields: str = ""
    ) -> list[dict[str, Any]]:
        """The objects of a kind, in one namespace or in all.

        Raises:
            HostError: ProgramFailed.
        """
        return self.kubectl.api.items(kind, namespace, selector=selector, fields=fields)

    def wait(
        self, kind: str, name: str, path: str, value: str, *, namespace: str = "default", deadline: float = 120
    ) -> None:
        """Wait until a field of an object, by its dotted path, has a value.

        Raises:
            HostError: ProgramTimedOut with the value that it has instead.
        """

        def missing() -> str | None:
            found = self.kubectl.field(kind, name, path, namespace)
            return None if found == value else f"{path} is {found!r}, not {value!r}"

        wait_for(f"{kind} {namespace}/{name}", missing, deadline=deadline, pause=0.3)

    def wait_gone(self, kind: str, name: str, *, namespace: str = "default", deadline: float = 120) -> None:
        """Wait until there is no such object.

        Raises:
            HostError: ProgramTimedOut.
        """

        def missing() -> str | None:
            return "it still exists" if self.get(kind, name, namespace) else None

        wait_for(f"the end of {kind} {namespace}/{name}", missing, deadline=deadline, pause=0.3)

    def evict(self, pod: str, namespace: str) -> None:
        """Evict a pod, as who drains its node does (policy/v1, Eviction).

        Raises:
            HostError: ProgramFailed with the API server's refusal, as of a disruption budget.
        """
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction"
        self.kubectl("create", "--raw", path, "--filename=-", stdin=json.dumps(eviction))

    def load_image(self, archive: Path, reference: str) -> None:
        """Load an image from a docker or OCI archive; pods use it with `imagePullPolicy: Never` or IfNotPresent.

        Raises:
            HostError: ProgramFailed.
        """
        runtime.load(self._pid(), archive, [reference], self.layout.logs)

    def build_image(self, build: Build) -> None:
        """Build a Containerfile and load its image.

        Raises:
            HostError: ProgramFailed with the last lines of the failing instruction.
        """
        archive = self.layout.folder / "built.tar"
        self.load_image(build_image(build, archive), build.tag)
        archive.unlink()

    def has_image(self, reference: str) -> bool:
        """Whether the node has an image."""
        return reference in runtime.stored(self._pid())

    def tag_image(self, reference: str, other: str) -> None:
        """Give an image that the node has another name.

        Raises:
            HostError: ProgramFailed.
        """
        runtime.tag(self._pid(), reference, other)

    def host_folder_for(self, claim: str, namespace: str = "default") -> Path:
        """The content of a bound Filesystem claim, as a folder that the host can read and write.

        Raises:
            HostError: WorkspaceUnusable when the claim is not bound to a volume of the lab's.
        """
        volume = self.kubectl.field("persistentvolumeclaim", claim, "spec.volumeName", namespace)
        folder = self.kubectl.field("persistentvolume", volume, "spec.local.path") if volume else ""
        if not folder:
            raise HostError(
                Reason.WORKSPACE_UNUSABLE,
                f"claim {namespace}/{claim} has no volume of the lab's",
                hint="Wait until it is bound; a claim of lab-wait is bound with its first pod.",
            )
        return Path(f"/proc/{self._pid()}/root{folder}")

    def node_exec(self, *command: str, deadline: float = 60, check: bool = True) -> Completed:
        """Run a command on the node, in all of its namespaces.

        Raises:
            HostError: ProgramFailed, ProgramTimedOut.
        """
        return run(namespace.inside(self._pid(), command), deadline=deadline, check=check)

    def process(self, component: str) -> int:
        """The host's process id of one of the node's programs, such as kubelet.

        Raises:
            HostError: WorkspaceUnusable when it does not run.
        """
        for pid, arguments in namespace.children(self._pid()).items():
            if _is(component, arguments):
                return pid
        raise HostError(Reason.WORKSPACE_UNUSABLE, f"{component} does not run", hint=f"See {self.layout.logs}.")

    def restart(self, component: str) -> None:
        """Kill one of the node's programs; the supervisor starts it again. Waits until all are healthy.

        Raises:
            HostError: ProgramTimedOut when it does not come back.
        """
        killed = self.process(component)
        os.kill(killed, signal.SIGKILL)
        wait_for(f"a new {component}", lambda: self._still(component, killed), deadline=30, pause=0.1)
        wait_until_healthy(self.layout, self._pid())

    def restart_kubelet(self) -> None:
        """Kill the kubelet and wait for the next one. Containers go on."""
        self.restart("kubelet")

    def pause_apiserver(self, seconds: float) -> None:
        """Let the API server hang, as behind a broken network: connections open and nothing answers."""
        pid = self.process("kube-apiserver")
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_until_healthy(self.layout, self._pid())

    def stop_apiserver(self, seconds: float) -> None:
        """Take the API server away, as when its machine starts anew: connections are refused. Its data stay."""
        supervisor, killed = self._pid(), self.process("kube-apiserver")
        os.kill(supervisor, signal.SIGSTOP)
        try:
            os.kill(killed, signal.SIGKILL)
            time.sleep(seconds)
        finally:
            os.kill(supervisor, signal.SIGCONT)
        wait_for("a new kube-apiserver", lambda: self._still("kube-apiserver", killed), deadline=30, pause=0.1)
        wait_until_healthy(self.layout, self._pid())

    def _pid(self) -> int:
        pid = namespace.find(self.layout)
        if pid is None:
            raise HostError(Reason.WORKSPACE_UNUSABLE, "the cluster does not run", hint="python tests/lab/cluster up")
        return pid

    def _still(self, component: str, pid: int) -> str | None:
        children = namespace.children(self._pid()).items()
        started = any(_is(component, arguments) and one != pid for one, arguments in children)
        return None if started else "none has started"


def _is(component: str, arguments: list[str]) -> bool:
    """Whether a process is one of the node's programs, by its name or by that of its Python module."""
    return Path(arguments[0]).name == component or f"lab.cluster.{component}" in arguments
