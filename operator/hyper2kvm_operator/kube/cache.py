"""The cache: objects as the watches last told, by kind and place. Safe to use from several threads."""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass

from hyper2kvm_operator.kube.client import KubeObject
from hyper2kvm_operator.kube.overview import Overview
from hyper2kvm_operator.kube.resources import MIGRATION_LABEL, Resource, Resources

Place = tuple[str, str]
"""Namespace and name."""


_READ_OF_SPEC = {
    Resources.JOB.value: ("suspend",),
    Resources.POD.value: ("nodeName",),
    Resources.CLAIM.value: ("storageClassName", "volumeMode", "accessModes", "resources"),
    Resources.DATA_VOLUME.value: (),
}
"""The fields of children's specs that are kept. A pod's spec, and a Job's with it, are many times the rest."""


@dataclass(frozen=True)
class _Entry:
    """An object.

    Attributes:
        uid: its uid.
        version: its resource version.
        owner: uid of the migration that its label names.
        seen: when a watch last told of it.
        kept: it as JSON, a third to a tenth of what it takes as dicts: each is read seldom, and they are many.
        overview: of a migration what others see.
    """

    uid: str
    version: int
    owner: str | None
    seen: float
    kept: bytes
    overview: Overview | None

    @property
    def value(self) -> KubeObject:
        value: KubeObject = json.loads(self.kept)
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
        made = _entry(resource, value, self._clock())
        with self._lock:
            self._put(resource, _place(value), made)

    def answered(self, resource: Resource, value: KubeObject) -> None:
        """Remember an object as a write of ours left it, unless it is gone meanwhile: no watch would tell so again."""
        made = _entry(resource, value, self._clock())
        with self._lock:
            if made.uid in self._places:
                self._put(resource, _place(value), made)

    def drop(self, resource: Resource, value: KubeObject) -> None:
        """Forget an object that was deleted; another one that took its name stays."""
        place, uid = _place(value), value["metadata"]["uid"]
        with self._lock:
            known = self._objects[resource].get(place)
            if known is not None and known.uid == uid:
                self._forget(resource, place, known)

    def get(self, resource: Resource, namespace: str, name: str) -> KubeObject | None:
        """An object, or None."""
        with self._lock:
            found = self._objects[resource].get((namespace, name))
        return found.value if found else None

    def place(self, uid: str) -> Place | None:
        """Where the object with a uid lies; None when it is not known."""
        with self._lock:
            return self._places.get(uid)

    def migrations(self) -> list[Overview]:
        """Every migration, as others see it."""
        with self._lock:
            entries = list(self._objects[Resources.MIGRATION.value].values())
        return [entry.overview for entry in entries if entry.overview is not None]

    def orphaned(self, value: KubeObject) -> bool:
        """Whether a migration that is no longer there owns an object: the garbage collector is about to remove it."""
        metadata = value["metadata"]
        maker = metadata.get("labels", {}).get(MIGRATION_LABEL)
        owners = {owner["uid"] for owner in metadata.get("ownerReferences", [])}
        return maker in owners and self.place(maker) is None

    def holds(self, resource: Resource, uids: Collection[str]) -> bool:
        """Whether every object of a kind with one of the uids is known."""
        with self._lock:
            known = {entry.uid for entry in self._objects[resource].values()}
        return known.issuperset(uids)

    def uids(self, resource: Resource, namespace: str | None) -> set[str]:
        """The uids of the objects of a kind that are known, in one namespace or in all."""
        with self._lock:
            return {entry.uid for (place, _), entry in self._objects[resource].items() if namespace in {None, place}}

    def unseen(self, resource: Resource, since: float, uids: Collection[str]) -> list[KubeObject]:
        """The objects of a kind that no watch has told of since a moment of the clock, apart from those with the uids."""
        with self._lock:
            entries = list(self._objects[resource].values())
        return [entry.value for entry in entries if entry.seen < since and entry.uid not in uids]

    def children(self, resource: Resource, migration_uid: str) -> list[KubeObject]:
        """A migration's children of a kind, by name."""
        with self._lock:
            places = sorted(place for kind, place in self._children.get(migration_uid, ()) if kind == resource)
            entries = [self._objects[resource][place] for place in places]
        return [entry.value for entry in entries]

    def _put(self, resource: Resource, place: Place, made: _Entry) -> None:
        known = self._objects[resource].get(place)
        # Events of one object may come late, never wrong.
        if known is not None and known.version > made.version:
            return
        if known is not None:
            self._forget(resource, place, known)
        self._objects[resource][place] = made
        self._places[made.uid] = place
        if made.owner:
            self._children[made.owner].add((resource, place))

    def _forget(self, resource: Resource, place: Place, known: _Entry) -> None:
        del self._objects[resource][place]
        self._places.pop(known.uid, None)
        if known.owner:
            self._children[known.owner].discard((resource, place))
            if not self._children[known.owner]:
                del self._children[known.owner]


def _entry(resource: Resource, value: KubeObject, seen: float) -> _Entry:
    metadata = {name: field for name, field in value["metadata"].items() if name != "managedFields"}
    kept = {**value, "metadata": metadata}
    if resource in _READ_OF_SPEC:
        spec = value.get("spec", {})
        kept["spec"] = {name: spec[name] for name in _READ_OF_SPEC[resource] if name in spec}
    return _Entry(
        uid=metadata["uid"],
        version=version_of(value),
        owner=metadata.get("labels", {}).get(MIGRATION_LABEL),
        seen=seen,
        kept=json.dumps(kept).encode(),
        overview=Overview.of(value) if resource is Resources.MIGRATION.value else None,
    )


def _place(value: KubeObject) -> Place:
    return value["metadata"].get("namespace", ""), value["metadata"]["name"]


def version_of(value: KubeObject) -> int:
    """The resource version, as a number.

    Those of one resource compare as integers (Kubernetes, "Resource versions", since 1.35 by contract and before that
    in fact).
    """
    told = value["metadata"].get("resourceVersion", "0")
    return int(told) if str(told).isdecimal() else 0
