"""The watches. Children are watched by label, so that a large cluster's other objects cost nothing."""

from collections.abc import Mapping
from typing import Any

import kopf

from hyper2kvm_operator.kube.cache import Cache, Place
from hyper2kvm_operator.kube.client import KubeObject
from hyper2kvm_operator.kube.resources import MANAGED_BY, MANAGER, MIGRATION_LABEL, Resources
from hyper2kvm_operator.reconcile.queue import WorkQueue

CHILDREN = (Resources.JOB, Resources.POD, Resources.CLAIM, Resources.DATA_VOLUME)
"""Kinds of children whose changes lead to a look at their migration."""

SERVER_TIMEOUT = 300
CLIENT_TIMEOUT = 360
"""Seconds after which a watch is ended by the server, or given up by us: dead connections are not waited on."""


def registry(cache: Cache, queue: WorkQueue[Place]) -> kopf.OperatorRegistry:
    """The handlers, bound to a cache and a queue."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.startup(registry=handlers)
    def configure(settings: kopf.OperatorSettings, **_: object) -> None:
        settings.posting.enabled = False
        settings.watching.server_timeout = SERVER_TIMEOUT
        settings.watching.client_timeout = CLIENT_TIMEOUT
        for kind in CHILDREN:
            settings.watching.label_selectors[_spelled(kind)] = f"{MANAGED_BY}={MANAGER}"

    def migration(event: Mapping[str, Any], **_: object) -> None:
        value: KubeObject = dict(event["object"])
        _remember(cache, Resources.MIGRATION, event["type"], value)
        queue.add((value["metadata"]["namespace"], value["metadata"]["name"]))

    def profile(event: Mapping[str, Any], **_: object) -> None:
        _remember(cache, Resources.PROFILE, event["type"], dict(event["object"]))
        for waiting in cache.all(Resources.MIGRATION.value):
            if waiting.get("status", {}).get("phase") in {None, "Pending", "Failed"}:
                queue.add((waiting["metadata"]["namespace"], waiting["metadata"]["name"]))

    kopf.on.event(*_selector(Resources.MIGRATION), registry=handlers)(migration)
    kopf.on.event(*_selector(Resources.PROFILE), registry=handlers)(profile)
    for kind in CHILDREN:
        kopf.on.event(*_selector(kind), registry=handlers, id=kind.name.lower())(_child_handler(cache, queue, kind))
    return handlers


def _child_handler(cache: Cache, queue: WorkQueue[Place], kind: Resources) -> Any:
    def child(event: Mapping[str, Any], **_: object) -> None:
        value: KubeObject = dict(event["object"])
        _remember(cache, kind, event["type"], value)
        owner = cache.place(value["metadata"].get("labels", {}).get(MIGRATION_LABEL, ""))
        if owner is not None:
            queue.add(owner)

    return child


def _remember(cache: Cache, kind: Resources, type_: str | None, value: KubeObject) -> None:
    if value["metadata"].get("labels") is None:
        value["metadata"].pop("labels", None)
    if type_ == "DELETED":
        cache.drop(kind.value, value)
    else:
        cache.put(kind.value, value)


def _selector(kind: Resources) -> tuple[str, str, str]:
    group, _, version = kind.value.api_version.rpartition("/")
    return group, version, kind.value.plural


def _spelled(kind: Resources) -> str:
    group = kind.value.group
    return f"{kind.value.plural}.{group}" if group else kind.value.plural
