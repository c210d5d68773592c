"""An API server's storage in memory, with what of its behaviour the operator relies on, and objects to put into it."""

from collections import defaultdict

from hyper2kvm_operator.kube.errors import RefusedError
from hyper2kvm_operator.kube.resources import MIGRATION_LABEL, Resources


class Storage:
    """Stands in for the client.

    Attributes:
        objects: what is stored, by kind and place.
        logs: text of pods' logs by name, or the error that reading one meets.
        rehearsed: what was admitted and not stored.
        refusals: (method, kind) → the error that such a request meets.
        forbidden: namespaces in which nothing may be listed.
    """

    def __init__(self, *objects):
        self.objects = defaultdict(dict)
        self.logs = {}
        self.rehearsed = []
        self.refusals = {}
        self.forbidden = set()
        self.log_reads = 0
        self._version = 0
        for one in objects:
            self.put(one)

    def put(self, value):
        metadata = value["metadata"]
        self._version += 1
        metadata.setdefault("uid", f"uid-{metadata['name']}")
        metadata["resourceVersion"] = str(self._version)
        self.objects[value["kind"]][metadata.get("namespace"), metadata["name"]] = value
        return value

    def names(self, resource):
        return sorted(name for _, name in self.objects[resource.value.kind])

    def get(self, resource, namespace, name):
        self._refuse("GET", resource)
        return self.objects[resource.kind].get((namespace, name))

    def list(self, resource, namespace=None, *, labels=None, fields=None):
        self.try_list(resource, namespace)
        there = [one for (place, _), one in self.objects[resource.kind].items() if namespace in {None, place}]
        selected = [term.split("=") for term in fields.split(",")] if fields else []
        return [one for one in there if all(_field(one, path) == wanted for path, wanted in selected)]

    def each(self, *arguments, **named):
        yield from self.list(*arguments, **named)

    def uids(self, *arguments, **named):
        return {one["metadata"]["uid"] for one in self.list(*arguments, **named)}

    def try_list(self, resource, namespace):
        self._refuse("LIST", resource)
        if namespace in self.forbidden:
            raise RefusedError(403, "Forbidden", f"you may not list them in {namespace}", "GET")

    def create(self, resource, value, *, rehearsal=False):
        self._refuse("POST", resource)
        if rehearsal:
            self.rehearsed.append(value)
            return value
        metadata = value["metadata"]
        if self.get(resource, metadata.get("namespace"), metadata.get("name")) is not None:
            raise RefusedError(409, "AlreadyExists", "it is there already", "POST")
        metadata.setdefault("name", f"{metadata.get('generateName')}{self._version}")
        return self.put(value)

    def apply(self, resource, value):
        """Of server-side apply: fields are merged, finalizers are a set."""
        self._refuse("PATCH", resource)
        metadata = value["metadata"]
        found = self.get(resource, metadata.get("namespace"), metadata["name"])
        if found is None:
            return self.put(value)
        if found["metadata"]["uid"] != metadata.get("uid", found["metadata"]["uid"]):
            raise RefusedError(409, "Conflict", "another object has the name", "PATCH")
        finalizers = [*found["metadata"].get("finalizers", []), *metadata.get("finalizers", [])]
        _merge(found, value)
        found["metadata"]["finalizers"] = list(dict.fromkeys(finalizers))
        return self.put(found)

    def remove_item(self, resource, namespace, name, place, item):
        self._refuse("PATCH", resource)
        found = self.get(resource, namespace, name)
        items = found["metadata"]["finalizers"]
        if place != f"/metadata/finalizers/{items.index(item)}":
            raise RefusedError(409, "Conflict", "something else is there", "PATCH")
        items.remove(item)
        return self.put(found)

    def patch(self, resource, namespace, name, patch):
        self._refuse("PATCH", resource)
        found = self.get(resource, namespace, name)
        if found is None:
            raise RefusedError(404, "NotFound", "it is not there", "PATCH")
        _merge(found, patch)
        return self.put(found)

    def put_status(self, resource, value):
        self._refuse("PATCH", resource)
        metadata = value["metadata"]
        found = self.get(resource, metadata["namespace"], metadata["name"])
        if found is None or found["metadata"]["uid"] != metadata.get("uid", found["metadata"]["uid"]):
            raise RefusedError(409, "Conflict", "another object has the name", "PATCH")
        return self.put({**found, "status": value["status"]})

    def delete(self, resource, namespace, name, *, uid=None):
        found = self.get(resource, namespace, name)
        if found is not None and uid not in {None, found["metadata"]["uid"]}:
            raise RefusedError(409, "Conflict", "another object has the name", "DELETE")
        self.objects[resource.kind].pop((namespace, name), None)

    def log(self, namespace, pod, *, container, tail):
        self.log_reads += 1
        told = self.logs.get(pod)
        if isinstance(told, Exception):
            raise told
        return told

    def serves(self, resource):
        return True

    def _refuse(self, method, resource):
        if (method, resource.kind) in self.refusals:
            raise self.refusals[method, resource.kind]


def _field(value, path):
    for name in path.split("."):
        value = value.get(name, {})
    return value


def _merge(value, patch):
    for key, change in patch.items():
        if change is None:
            value.pop(key, None)
        elif isinstance(change, dict) and isinstance(value.get(key), dict):
            _merge(value[key], change)
        else:
            value[key] = change


def stored(resource, name, *, owner=None, namespace="moves", **fields):
    """An object of a kind; `owner` is the uid of the migration that it is labelled with."""
    labels = {MIGRATION_LABEL: owner} if owner else {}
    metadata = {
        "name": name,
        "namespace": namespace,
        "labels": labels,
        "uid": f"uid-{name}",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    return {"apiVersion": resource.value.api_version, "kind": resource.value.kind, "metadata": metadata, **fields}


def migration(name="web01", *, generation=1, status=None, **spec):
    """A VirtualMachineMigration as it is stored."""
    source = {"files": {"volume": {"persistentVolumeClaim": {"claimName": "exports"}}, "path": f"{name}.ova"}}
    value = stored(Resources.MIGRATION, name, spec={"source": source, **spec}, status=status or {})
    value["metadata"] |= {"generation": generation, "finalizers": []}
    return value
