"""Somebody else changes a migration and what belongs to it, all the time: labels, annotations, status, finalizers."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

from kubernetes import client, config

from hyper2kvm_api.migration import GROUP, VERSION
from lab.scenario.objects import Json
from lab.scenario.project import Project

_MERGE = "application/merge-patch+json"
_NO_REFUSAL = {404, 409}
"""What is not there, now or yet; and what the server has tried to change five times, as others did."""

_PEACE = 1.0
"""Seconds between two changes of a claim. The scheduler and CDI write claims by the version that they have read: where
the time from the one to the other is never a quiet one, as on a busy machine with ten changes a second, no pod is ever
given its volume, whoever has made it."""


class Storm:
    """As a context manager.

    Attributes:
        changes: what was changed → how often.
        refusals: what the API server said to changes that it refused.
    """

    def __init__(self, project: Project, name: str) -> None:
        """Nothing is changed before the context is entered."""
        self.changes: Counter[str] = Counter()
        self.refusals: list[str] = []
        self._name = name
        self._namespace = project.namespace
        self._kubeconfig = str(project.cluster.kubeconfig)
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        changes: list[tuple[str, float, Callable[[client.ApiClient], object]]] = [
            ("annotations", 0.05, lambda api: self._migration(api, {"metadata": {"annotations": _stamp()}})),
            ("status", 0.05, lambda api: self._status(api, {"status": {"progress": str(_stamp())}})),
            ("finalizers", 0.2, lambda api: self._migration(api, {"metadata": {"finalizers": None}})),
            *(("job", 0.1, self._job(f"{self._name}-{role}")) for role in ("plan", "convert")),
            *(("claim", _PEACE, self._claim(f"{self._name}-{what}")) for what in ("disk0", "workspace")),
        ]
        self._threads = [threading.Thread(target=self._repeat, args=change) for change in changes]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, what: str, pause: float, change: Callable[[client.ApiClient], object]) -> None:
        with config.new_client_from_config(self._kubeconfig) as api:
            while not self._over.wait(pause):
                try:
                    change(api)
                except client.ApiException as error:
                    if error.status not in _NO_REFUSAL:
                        self.refusals.append(str(error))
                else:
                    self.changes[what] += 1

    @property
    def _place(self) -> tuple[str, str, str, str, str]:
        return GROUP, VERSION, self._namespace, "virtualmachinemigrations", self._name

    def _migration(self, api: client.ApiClient, patch: Json) -> None:
        client.CustomObjectsApi(api).patch_namespaced_custom_object(*self._place, patch, _content_type=_MERGE)

    def _status(self, api: client.ApiClient, patch: Json) -> None:
        client.CustomObjectsApi(api).patch_namespaced_custom_object_status(*self._place, patch, _content_type=_MERGE)

    def _job(self, name: str) -> Callable[[client.ApiClient], object]:
        return lambda api: client.BatchV1Api(api).patch_namespaced_job(name, self._namespace, _labels())

    def _claim(self, name: str) -> Callable[[client.ApiClient], object]:
        return lambda api: client.CoreV1Api(api).patch_namespaced_persistent_volume_claim(
            name, self._namespace, _labels()
        )


def _labels() -> Json:
    return {"metadata": {"labels": _stamp()}}


def _stamp() -> dict[str, str]:
    return {"example.com/changed": f"{time.monotonic():.3f}"}
