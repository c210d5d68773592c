"""Up and down: the order in which a cluster comes to be, each step waited for."""

import os
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from lab.cluster import cgroups, configuration, images, kernel, namespace, network, pki, services, traces
from lab.cluster.addons import Addon
from lab.cluster.binaries import KUBERNETES, ensure_built
from lab.cluster.health import wait_until_healthy
from lab.cluster.images import ImageSet, ensure_bases, ensure_packed
from lab.cluster.kubectl import Kubectl
from lab.cluster.layout import Layout
from lab.cluster.lock import alone
from lab.cluster.packages import ensure_packages
from lab.cluster.progress import say
from lab.cluster.runtime import ensure_loaded
from lab.cluster.storage import CLASSES

_OTHERS = "whoever else starts or ends the cluster"


def prepare(addons: Collection[Addon]) -> None:
    """Make everything that is cached: packages, programs, images. Takes minutes the first time.

    Raises:
        HostError: ProgramMissing, ProgramFailed or ProgramTimedOut of a step.
    """
    ensure_packages()
    sets = image_sets(addons)
    with ThreadPoolExecutor(1) as beside:  # of compilers: packages are waited for, and leave a processor idle
        bases = beside.submit(ensure_bases, sets)
        ensure_built(KUBERNETES, *(group for addon in addons for group in addon.groups))
    bases.result()
    for one in sets:
        ensure_packed(one)


def image_sets(addons: Collection[Addon]) -> list[ImageSet]:
    """The images that the cluster's own pods and the tests' pods run."""
    return [images.pause(), images.tools(), *(addon.images() for addon in addons)]


def up(layout: Layout, addons: Collection[Addon], meanwhile: Callable[[], None] | None = None) -> None:
    """Bring the cluster up, or what is missing of it. Does little when it is up; addons are never taken away.

    Args:
        layout: where.
        addons: what it is to have beyond Kubernetes.
        meanwhile: called once Kubernetes takes pods, while the addons are being deployed.

    Raises:
        HostError: WorkspaceUnusable without root; ProgramFailed or ProgramTimedOut with the log of what failed.
    """
    _require_root()
    with alone(layout.lock, _OTHERS):
        prepare(addons)
        pid = namespace.find(layout) or _start(layout)
        wait_until_healthy(layout, pid)
        for one in image_sets(addons):
            ensure_loaded(pid, one, layout.logs)
        kubectl = Kubectl(layout.kubeconfig)
        for storage_class in CLASSES:
            kubectl.apply(storage_class.manifest())
        for addon in addons:
            addon.install(kubectl)
    if meanwhile is not None:
        meanwhile()
    for addon in addons:
        addon.wait(kubectl)
    say(f"the cluster is up: export KUBECONFIG={layout.kubeconfig}")


def down(layout: Layout) -> None:
    """Remove the cluster and all its traces; caches stay. Does nothing when there is none.

    Raises:
        HostError: WorkspaceUnusable without root; ProgramTimedOut when something does not go away.
    """
    _require_root()
    with alone(layout.lock, _OTHERS):
        traces.remove(layout)
    say("no trace of the cluster is left")


def _require_root() -> None:
    if os.geteuid() != 0:
        raise HostError(
            Reason.WORKSPACE_UNUSABLE,
            "the cluster needs root",
            hint="It makes namespaces, mounts and devices: use sudo.",
        )


def _start(layout: Layout) -> int:
    traces.remove(layout)
    kernel.note(layout.before)
    kernel.raise_limits()
    services.make_folders(layout)
    pki.make(layout)
    configuration.write(layout, images.pause().references[0])
    cgroups.create(layout.cgroup)
    return namespace.start(layout, services.node(layout), lambda pid: network.connect(layout, pid))
