"""What the cluster has: CDI, KubeVirt, nodes with KVM, storage classes. Looked up now and then, not for every migration."""

import threading
import time
from collections.abc import Callable, Sequence

from hyper2kvm_api.scalars import quantity_bytes
from hyper2kvm_operator.build.claims import DEFAULT_OVERHEAD, Overheads
from hyper2kvm_operator.build.job import KVM_RESOURCE
from hyper2kvm_operator.kube.client import KubeClient, KubeObject
from hyper2kvm_operator.kube.errors import RefusedError, UnreachableError
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.reconcile.migration.observed import Abilities

_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"

_FRESH = 60.0
_FRESH_WHERE_LACKING = 5.0
"""Seconds that an answer is good for. What is lacking is installed while somebody waits for it."""


class AbilityReader:
    """Reads the cluster's abilities, at most once in some seconds. Safe to use from several threads."""

    def __init__(self, client: KubeClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._looking = threading.Lock()
        self._known: Abilities | None = None
        self._asked = self._next = 0.0

    def read(self, suffice: Callable[[Abilities], bool] = lambda _: True) -> Abilities:
        """What the cluster has. While one thread asks anew, and when nobody answers, what is known goes on to count.

        Args:
            suffice: whether what is known will do. If not, the cluster is asked, however short ago it was.

        Raises:
            RefusedError, UnreachableError: and nothing is known yet.
        """
        arrived, known, due = self._clock(), self._known, self._next
        if known is None or not suffice(known):
            with self._looking:
                return self._looked(after=arrived)
        if arrived < due or not self._looking.acquire(blocking=False):
            return known
        try:
            return self._looked(after=due)
        finally:
            self._looking.release()

    def _looked(self, after: float) -> Abilities:
        """What was asked for after a moment, by this thread or by another one."""
        if self._known is not None and self._asked > after:
            return self._known
        self._asked = self._clock()
        try:
            self._known = self._look()
        except (RefusedError, UnreachableError):
            if self._known is None:
                raise
        whole = self._known.cdi and self._known.kubevirt
        self._next = self._clock() + (_FRESH if whole else _FRESH_WHERE_LACKING)
        return self._known

    def _look(self) -> Abilities:
        config = self._client.get(Resources.CDI_CONFIG.value, None, "config")
        nodes = self._client.each(Resources.NODE.value)
        classes = self._client.list(Resources.STORAGE_CLASS.value)
        return Abilities(
            cdi=config is not None,
            kubevirt=self._client.serves(Resources.VIRTUAL_MACHINE.value),
            kvm_nodes=sum(1 for node in nodes if _offers_kvm(node)),
            overheads=_overheads(config or {}),
            storage_classes=frozenset(one["metadata"]["name"] for one in classes),
            default_class=_default(classes),
        )


def _offers_kvm(node: KubeObject) -> bool:
    # KubeVirt's device plugin offers a thousand by default, which Kubernetes writes as the quantity 1k.
    return quantity_bytes(str(node.get("status", {}).get("allocatable", {}).get(KVM_RESOURCE, "0"))) > 0


def _default(classes: Sequence[KubeObject]) -> str | None:
    """The class that claims get which name none: of several defaults the newest (Kubernetes, "Default StorageClass")."""
    marked = [one for one in classes if one["metadata"].get("annotations", {}).get(_DEFAULT_CLASS) == "true"]
    newest = max(marked, key=lambda one: str(one["metadata"]["creationTimestamp"]), default=None)
    return newest["metadata"]["name"] if newest else None


def _overheads(config: KubeObject) -> Overheads:
    """CDIConfig's status.filesystemOverhead: shares of the volume as strings."""
    told = config.get("status", {}).get("filesystemOverhead", {})
    classes = {name: float(share) for name, share in told.get("storageClass", {}).items()}
    return Overheads(float(told.get("global", DEFAULT_OVERHEAD)), tuple(sorted(classes.items())))
