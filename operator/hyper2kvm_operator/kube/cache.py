"""The cache: objects as the watches last told, by kind and place. Safe to use from several threads."""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from hyper2kvm_operator.kube.client import KubeObject
from hyper2kvm_operator.kube.resources import MIGRATION_LABEL, Resource, Resources

Place = tuple[str, str]
"""Namespace and name."""


_READ_OF_SPEC = {
    Resources.JOB.value: ("suspend",),
    Resources.POD.value: (),
    Resources.CLAIM.value: ("storageClassName", "volumeMode", "resources"),
    Resources.DATA_VOLUME.value: (),
}
"""The fields of children's specs that are kept. A pod's spec, and a Job's with it, are many times the rest."""


@dataclass(frozen=True)
class _Entry:
    """An object. Children are kept as JSON, a tenth of what they take as dicts: they are read seldom, and are many."""

    uid: str
    version: int
    seen: float
    kept: KubeObject | bytes

    @property
    def value(self) -> KubeObject:
        value: KubeObject = json.loads(self.kept) if isinstance(self.kept, bytes) else self.kept
        return value


class Cache:
    """What the watches told. An object that was changed a moment ago may still look as before.

    Objects are kept without managedFields, children with those fields of their specs only that are read.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._objects: dict[Resource, dict[Place, _Entry]] = defaultdict(dict)
        self._places: dict[str, Place] = {}
        self._children: dict[str, set[tuple[Resource, Place]]] = defaultdict(set)

    def put(self, resource: Resource, value: KubeObject) -> None:
        """Remember an object, unless what is known of it is newer."""
        place = _place(value)
        with self._lock:
            known = self._objects[resource].get(place)
            version = _version(value)
            # Events of one object may come late, never wrong.
            if known is not None and known.version > version:
                return
            uid = value["metadata"]["uid"]
            self._objects[resource][place] = _Entry(uid, version, self._clock(), _kept(resource, value))
            self._places[value["metadata"]["uid"]] = place
            owner = value["metadata"].get("labels", {}).get(MIGRATION_LABEL)
            if owner:
                self._children[owner].add((resource, place))

    def drop(self, resource: Resource, value: KubeObject) -> None:
        """Forget an object that was deleted; another one that took its name stays."""
        place = _place(value)
        with self._lock:
            self._places.pop(value["metadata"]["uid"], None)
            known = self._objects[resource].get(place)
            if known is not None and known.uid != value["metadata"]["uid"]:
                return
            self._objects[resource].pop(place, None)
            owner = value["metadata"].get("labels", {}).get(MIGRATION_LABEL)
            if owner and owner in self._children:
                self._children[owner].discard((resource, place))
                if not self._children[owner]:
                    del self._children[owner]

    def get(self, resource: Resource, namespace: str, name: str) -> KubeObject | None:
        """An object, or None."""
        with self._lock:
            found = self._objects[resource].get((namespace, name))
            return found.value if found else None

    def place(self, uid: str) -> Place | None:
        """Where the object with a uid lies; None when it is not known."""
        with self._lock:
            return self._places.get(uid)

    def all(self, resource: Resource) -> list[KubeObject]:
        """Every object of a kind."""
        with self._lock:
            return [entry.value for entry in self._objects[resource].values()]

    def holds(self, resource: Resource, uids: Collection[str]) -> bool:
        """Whether every object of a kind with one of the uids is known."""
        with self._lock:
            known = {entry.uid for entry in self._objects[resource].values()}
        return known.issuperset(uids)

    def unseen(self, resource: Resource, since: float, uids: Collection[str]) -> list[KubeObject]:
        """The objects of a kind that no watch has told of since a moment of the clock, apart from those with the uids."""
        with self._lock:
            return [
                entry.value
                for entry in self._objects[resource].values()
                if entry.seen < since and entry.uid not in uids
            ]

    def children(self, resource: Resource, migration_uid: str) -> list[KubeObject]:
        """A migration's children of a kind."""
        with self._lock:
            return list(self._of(resource, migration_uid))

    def _of(self, resource: Resource, uid: str) -> Iterator[KubeObject]:
        for kind, place in sorted(self._children.get(uid, ()), key=lambda child: child[1]):
            found = self._objects[kind].get(place) if kind == resource else None
            value = found.value if found is not None else None
            if value is not None and value["metadata"].get("labels", {}).get(MIGRATION_LABEL) == uid:
                yield value


def _kept(resource: Resource, value: KubeObject) -> KubeObject | bytes:
    metadata = {name: field for name, field in value["metadata"].items() if name != "managedFields"}
    kept = {**value, "metadata": metadata}
    if resource not in _READ_OF_SPEC:
        return kept
    spec = value.get("spec", {})
    kept["spec"] = {name: spec[name] for name in _READ_OF_SPEC[resource] if name in spec}
    return json.dumps(kept).encode()


def _place(value: KubeObject) -> Place:
    return value["metadata"].get("namespace", ""), value["metadata"]["name"]


def _version(value: KubeObject) -> int:
    """The resource version, as a number.

    Those of one resource compare as integers (Kubernetes, "Resource versions", since 1.35 by contract and before that
    in fact).
    """
    told = value["metadata"].get("resourceVersion", "0")
    return int(told) if str(told).isdecimal() else 0
