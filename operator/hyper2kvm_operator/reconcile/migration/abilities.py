"""What the cluster has: CDI, KubeVirt, nodes with KVM. Looked up now and then, not for every migration."""

import threading
import time
from collections.abc import Callable

from hyper2kvm_api.scalars import quantity_bytes
from hyper2kvm_operator.build.claims import DEFAULT_OVERHEAD, Overheads
from hyper2kvm_operator.build.job import KVM_RESOURCE
from hyper2kvm_operator.kube.client import KubeClient, KubeObject
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.reconcile.migration.observed import Abilities

_FRESH = 60.0
_FRESH_WHERE_LACKING = 5.0
"""Seconds that an answer is good for. What is lacking is installed while somebody waits for it."""


class AbilityReader:
    """Reads the cluster's abilities, at most once in some seconds. Safe to use from several threads."""

    def __init__(self, client: KubeClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._known: Abilities | None = None
        self._since = 0.0

    def read(self) -> Abilities:
        """What the cluster has."""
        with self._lock:
            moment = self._clock()
            if self._known is None or moment - self._since > _good_for(self._known):
                self._known = self._look()
                self._since = moment
            return self._known

    def _look(self) -> Abilities:
        config = self._client.get(Resources.CDI_CONFIG.value, None, "config")
        nodes = self._client.list(Resources.NODE.value)
        return Abilities(
            cdi=config is not None,
            kubevirt=self._client.serves(Resources.VIRTUAL_MACHINE.value),
            kvm_nodes=sum(1 for node in nodes if _offers_kvm(node)),
            overheads=_overheads(config or {}),
        )


def _good_for(known: Abilities) -> float:
    return _FRESH if known.cdi and known.kubevirt else _FRESH_WHERE_LACKING


def _offers_kvm(node: KubeObject) -> bool:
    # KubeVirt's device plugin offers a thousand by default, which Kubernetes writes as the quantity 1k.
    return quantity_bytes(str(node.get("status", {}).get("allocatable", {}).get(KVM_RESOURCE, "0"))) > 0


def _overheads(config: KubeObject) -> Overheads:
    """CDIConfig's status.filesystemOverhead: shares of the volume as strings."""
    told = config.get("status", {}).get("filesystemOverhead", {})
    classes = {name: float(share) for name, share in told.get("storageClass", {}).items()}
    return Overheads(float(told.get("global", DEFAULT_OVERHEAD)), tuple(sorted(classes.items())))
