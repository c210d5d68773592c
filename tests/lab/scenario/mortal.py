"""An operator that dies after each of its writes: every crash that the API server could see, one after the other."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from kubernetes import config

from hyper2kvm_operator.kube.cache import Cache
from hyper2kvm_operator.kube.client import TIMEOUT, KubeClient, KubeObject
from hyper2kvm_operator.kube.errors import RefusedError
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.metrics import Metrics
from hyper2kvm_operator.reconcile.migration.abilities import AbilityReader
from hyper2kvm_operator.reconcile.migration.decision import FINAL
from hyper2kvm_operator.reconcile.migration.observe import Observer
from hyper2kvm_operator.reconcile.migration.read import read_status
from hyper2kvm_operator.reconcile.migration.reconcile import MigrationReconciler
from hyper2kvm_operator.reconcile.resync import WATCHED
from hyper2kvm_operator.settings import Settings

_PAUSE = 1.0
"""Seconds between two looks where nothing is to be done: each is a whole operator's start."""


class DeathError(Exception):
    """The process is gone; what it has written stays."""


class _MortalClient(KubeClient):
    """Dies after the first write of each kind: method, object and phase."""

    def __init__(self, kubeconfig: Path, deaths: set[str]) -> None:
        super().__init__(config.new_client_from_config(str(kubeconfig)))
        self._deaths = deaths

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | None] | None = None,
        body: KubeObject | Sequence[KubeObject] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        timeout: float = TIMEOUT,
    ) -> bytes:
        answer = super()._request(method, path, query, body, content_type, accept, timeout)
        phase = body.get("status", {}).get("phase", "") if isinstance(body, dict) else ""
        write = f"{method} {path} {phase}"
        if method != "GET" and write not in self._deaths:
            self._deaths.add(write)
            raise DeathError(write)
        return answer


def live_and_die(kubeconfig: Path, settings: Settings, namespace: str, name: str, *, deadline: float) -> set[str]:
    """Bring a migration to its end with operators that die; the writes after which they did.

    Raises:
        TimeoutError: it did not end.
    """
    deaths: set[str] = set()
    began = time.monotonic()
    while time.monotonic() - began < deadline:
        try:
            if _life(_MortalClient(kubeconfig, deaths), settings, namespace, name):
                return deaths
        except DeathError:
            continue
        except RefusedError as refusal:
            if not refusal.stale:
                raise
        time.sleep(_PAUSE)
    raise TimeoutError(f"{namespace}/{name} did not end; deaths after {sorted(deaths)}")


def _life(client: _MortalClient, settings: Settings, namespace: str, name: str) -> bool:
    """One look with nothing remembered; whether the migration had ended before it."""
    cache = Cache()
    for kind in WATCHED:
        for one in client.list(kind.value, namespace):
            cache.put(kind.value, one)
    migration = cache.get(Resources.MIGRATION.value, namespace, name)
    if migration is None:
        return False
    observer = Observer(client, cache, AbilityReader(client), settings)
    MigrationReconciler(client, cache, observer, Metrics()).reconcile(migration)
    return read_status(migration).phase in FINAL
