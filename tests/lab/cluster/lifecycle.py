"""Up and down: the order in which a cluster comes to be, each step waited for."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from lab.cluster import cdi, cgroups, configuration, images, kernel, kubevirt, namespace, network, pki, services, traces
from lab.cluster.binaries import CLUSTER_GROUPS, KUBEVIRT_GROUPS, ensure_built
from lab.cluster.health import wait_until_healthy
from lab.cluster.images import ImageSet, ensure_packed
from lab.cluster.kubectl import Kubectl
from lab.cluster.layout import Layout
from lab.cluster.packages import ensure_packages
from lab.cluster.progress import say
from lab.cluster.runtime import ensure_loaded
from lab.cluster.storage import CLASSES


def prepare(*, with_kubevirt: bool) -> None:
    """Make everything that is cached: packages, programs, images. Takes minutes the first time.

    Raises:
        HostError: ProgramMissing, ProgramFailed or ProgramTimedOut of a step.
    """
    ensure_packages()
    ensure_built(*CLUSTER_GROUPS, *(KUBEVIRT_GROUPS if with_kubevirt else ()))
    for one in image_sets(with_kubevirt=with_kubevirt):
        ensure_packed(one)


def image_sets(*, with_kubevirt: bool) -> list[ImageSet]:
    """The images that the cluster's own pods and the tests' pods run."""
    return [images.pause(), images.tools(), images.cdi(), *([images.kubevirt()] if with_kubevirt else [])]


def up(layout: Layout, *, with_kubevirt: bool) -> None:
    """Bring the cluster up, or what is missing of it. Does little when it is up.

    Raises:
        HostError: WorkspaceUnusable without root; ProgramFailed or ProgramTimedOut with the log of what failed.
    """
    if os.geteuid() != 0:
        raise HostError(Reason.WORKSPACE_UNUSABLE, "the cluster needs root", hint="Namespaces, mounts and devices: use sudo.")
    with _alone(layout):
        prepare(with_kubevirt=with_kubevirt)
        pid = namespace.find(layout) or _start(layout)
        wait_until_healthy(layout, pid)
        for one in image_sets(with_kubevirt=with_kubevirt):
            ensure_loaded(pid, one, layout.logs)
        kubectl = Kubectl(layout.kubeconfig)
        for storage_class in CLASSES:
            kubectl.apply(storage_class.manifest())
        cdi.deploy(kubectl)
        if with_kubevirt:
            kubevirt.deploy(kubectl)
    say(f"the cluster is up: export KUBECONFIG={layout.kubeconfig}")


def down(layout: Layout) -> None:
    """Remove the cluster and all its traces; caches stay. Does nothing when there is none.

    Raises:
        HostError: ProgramTimedOut when something does not go away.
    """
    with _alone(layout):
        traces.remove(layout)
    layout.lock.unlink(missing_ok=True)
    say("no trace of the cluster is left")


def _start(layout: Layout) -> int:
    traces.remove(layout)
    kernel.note(layout.before)
    kernel.raise_limits()
    services.make_folders(layout)
    pki.make(layout)
    configuration.write(layout, images.pause().references[0])
    cgroups.create(layout.cgroup)
    return namespace.start(layout, services.node(layout), lambda pid: network.connect(layout, pid))


@contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    layout.lock.parent.mkdir(parents=True, exist_ok=True)
    with layout.lock.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process starts or ends the cluster: waiting for {layout.lock}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
