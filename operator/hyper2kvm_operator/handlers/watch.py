"""The watches. Children are watched by label, so that a large cluster's other objects cost nothing."""

from collections.abc import Callable, Mapping
from typing import Any

import kopf

from hyper2kvm_operator.kube.cache import Cache, Place
from hyper2kvm_operator.kube.client import KubeObject
from hyper2kvm_operator.kube.resources import MANAGED_BY, MANAGER, MIGRATION_LABEL, Resources
from hyper2kvm_operator.reconcile.queue import WorkQueue
from hyper2kvm_operator.reconcile.resync import CHILDREN, WATCHED

SERVER_TIMEOUT = 300
CLIENT_TIMEOUT = 360
"""Seconds after which a watch is ended by the server, or given up by us: dead connections are not waited on."""


IDLE_TIMEOUT = 0.1
"""Seconds that kopf keeps the worker, and with it the last event, of an object that nothing happens to."""

CHUNK = 100
"""Objects that are asked for at once at the start: no more of an answer than these is in memory."""

_OF_PROFILES = {None, "Pending", "Failed"}
"""Phases in which a profile that changes may change what happens."""


class Changes:
    """What the watches tell, put into the cache; the migrations that it is about are looked at."""

    def __init__(self, cache: Cache, queue: WorkQueue[Place]) -> None:
        self._cache = cache
        self._queue = queue

    def told(self, kind: Resources, value: KubeObject) -> None:
        """An object is there, new, changed or as before."""
        if value["metadata"].get("labels") is None:
            value["metadata"].pop("labels", None)
        self._cache.put(kind.value, value)
        self._wake(kind, value)

    def gone(self, kind: Resources, value: KubeObject) -> None:
        """An object is there no more."""
        self._cache.drop(kind.value, value)
        self._wake(kind, value)

    def _wake(self, kind: Resources, value: KubeObject) -> None:
        if kind is Resources.MIGRATION:
            self._queue.add((value["metadata"]["namespace"], value["metadata"]["name"]))
        elif kind is Resources.PROFILE:
            self._wake_waiting()
        else:
            owner = self._cache.place((value["metadata"].get("labels") or {}).get(MIGRATION_LABEL, ""))
            if owner is not None:
                self._queue.add(owner)

    def _wake_waiting(self) -> None:
        for waiting in self._cache.migrations():
            if waiting.phase in _OF_PROFILES:
                self._queue.add(waiting.place)


class _NoEssence(kopf.DiffBaseStorage):
    """Keeps kopf from copying each object to see what has changed in it: nobody asks for differences."""

    def build(self, **_: object) -> kopf.BodyEssence:
        """Nothing of an object."""
        return kopf.BodyEssence()

    def fetch(self, **_: object) -> None:
        """Nothing was stored."""

    def store(self, **_: object) -> None:
        """Nothing to store."""


def registry(changes: Changes, listed: Callable[[Resources], None]) -> kopf.OperatorRegistry:
    """The handlers. `listed` is told of each kind that a watch has listed anew."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.startup(registry=handlers)
    def configure(settings: kopf.OperatorSettings, **_: object) -> None:
        settings.posting.enabled = False
        settings.watching.server_timeout = SERVER_TIMEOUT
        settings.watching.client_timeout = CLIENT_TIMEOUT
        settings.watching.chunk_size = CHUNK
        settings.queueing.idle_timeout = IDLE_TIMEOUT
        settings.persistence.diffbase_storage = _NoEssence()
        for kind in CHILDREN:
            settings.watching.label_selectors[_spelled(kind)] = f"{MANAGED_BY}={MANAGER}"

    @kopf.on.login(registry=handlers)
    def log_in(**given: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**given) or kopf.login_with_kubeconfig(**given)

    for kind in WATCHED:
        kopf.on.event(*_selector(kind), registry=handlers, id=kind.name.lower())(_handler(kind, changes, listed))
    return handlers


def _handler(kind: Resources, changes: Changes, listed: Callable[[Resources], None]) -> Any:
    async def handle(event: Mapping[str, Any], **_: object) -> None:
        value: KubeObject = dict(event["object"])
        if event["type"] == "DELETED":
            changes.gone(kind, value)
            return
        changes.told(kind, value)
        if event["type"] is None:
            listed(kind)

    return handle


def _selector(kind: Resources) -> tuple[str, str, str]:
    group, _, version = kind.value.api_version.rpartition("/")
    return group, version, kind.value.plural


def _spelled(kind: Resources) -> str:
    group = kind.value.group
    return f"{kind.value.plural}.{group}" if group else kind.value.plural
