"""The cache: objects as the watches last told, by kind and place. Safe to use from several threads."""

import threading
from collections import defaultdict
from collections.abc import Iterator

from hyper2kvm_operator.kube.client import KubeObject
from hyper2kvm_operator.kube.resources import MIGRATION_LABEL, Resource

Place = tuple[str, str]
"""Namespace and name."""


class Cache:
    """What the watches told. An object that was changed a moment ago may still look as before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[Resource, dict[Place, KubeObject]] = defaultdict(dict)
        self._places: dict[str, Place] = {}
        self._children: dict[str, set[tuple[Resource, Place]]] = defaultdict(set)

    def put(self, resource: Resource, value: KubeObject) -> None:
        """Remember an object."""
        place = _place(value)
        with self._lock:
            self._objects[resource][place] = value
            self._places[value["metadata"]["uid"]] = place
            owner = value["metadata"].get("labels", {}).get(MIGRATION_LABEL)
            if owner:
                self._children[owner].add((resource, place))

    def drop(self, resource: Resource, value: KubeObject) -> None:
        """Forget an object that was deleted."""
        place = _place(value)
        with self._lock:
            self._objects[resource].pop(place, None)
            self._places.pop(value["metadata"]["uid"], None)
            owner = value["metadata"].get("labels", {}).get(MIGRATION_LABEL)
            if owner and owner in self._children:
                self._children[owner].discard((resource, place))
                if not self._children[owner]:
                    del self._children[owner]

    def get(self, resource: Resource, namespace: str, name: str) -> KubeObject | None:
        """An object, or None."""
        with self._lock:
            return self._objects[resource].get((namespace, name))

    def place(self, uid: str) -> Place | None:
        """Where the object with a uid lies; None when it is not known."""
        with self._lock:
            return self._places.get(uid)

    def all(self, resource: Resource) -> list[KubeObject]:
        """Every object of a kind."""
        with self._lock:
            return list(self._objects[resource].values())

    def children(self, resource: Resource, migration_uid: str) -> list[KubeObject]:
        """A migration's children of a kind."""
        with self._lock:
            return list(self._of(resource, migration_uid))

    def _of(self, resource: Resource, uid: str) -> Iterator[KubeObject]:
        for kind, place in sorted(self._children.get(uid, ()), key=lambda child: child[1]):
            found = self._objects[kind].get(place) if kind == resource else None
            if found is not None:
                yield found


def _place(value: KubeObject) -> Place:
    return value["metadata"].get("namespace", ""), value["metadata"]["name"]
