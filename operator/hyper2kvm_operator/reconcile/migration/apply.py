"""Carries out decisions. Every action may be repeated: names are deterministic, owners are checked."""

from collections.abc import Callable

from hyper2kvm_api.migration import API_VERSION
from hyper2kvm_operator.build import imageserver
from hyper2kvm_operator.build.metadata import MigrationKey
from hyper2kvm_operator.kube.cache import Cache
from hyper2kvm_operator.kube.certificate import issue
from hyper2kvm_operator.kube.client import KubeClient, KubeObject
from hyper2kvm_operator.kube.errors import RefusedError
from hyper2kvm_operator.kube.resources import MANAGER, MIGRATION_LABEL, Resource, Resources
from hyper2kvm_operator.reconcile.migration.decision import (
    Action,
    Apply,
    Delete,
    Ensure,
    IssueCertificate,
    Merge,
    Occurrence,
    Rehearse,
    SetFinalizer,
)

FINALIZER = "hyper2kvm.io/migration"
_KIND = {"apiVersion": API_VERSION, "kind": "VirtualMachineMigration"}


class ActionRefusedError(Exception):
    """The API server refused an action for good.

    Attributes:
        resource: the kind that the action was about.
        name: the object that it was about.
        refusal: the server's answer.
    """

    def __init__(self, resource: Resource, name: str, refusal: RefusedError) -> None:
        super().__init__(f"{resource.kind} {name}: {refusal.message}")
        self.resource = resource
        self.name = name
        self.refusal = refusal


def carry_out(client: KubeClient, cache: Cache, key: MigrationKey, migration: KubeObject, action: Action) -> None:
    """Carry out one action.

    Raises:
        ActionRefusedError: the server refuses it, and trying again at once is of no use.
        RefusedError: something changed meanwhile: look again.
        UnreachableError: no answer.
    """
    match action:
        case Ensure(resource, value):
            _named(resource, value["metadata"]["name"], lambda: _ensure(client, cache, key, resource, value))
        case Apply(resource, value):
            _named(resource, value["metadata"]["name"], lambda: _apply(client, cache, key, resource, value))
        case Rehearse(resource, value):
            _named(resource, value["metadata"]["name"], lambda: _rehearse(client, resource, value))
        case Merge(resource, name, patch):
            _named(resource, name, lambda: client.patch(resource, key.namespace, name, patch))
        case Delete(resource, name, uid):
            client.delete(resource, key.namespace, name, uid=uid)
        case IssueCertificate(host):
            _issue(client, key, host)
        case SetFinalizer(present):
            _set_finalizer(client, key, migration, present=present)


def record(client: KubeClient, key: MigrationKey, occurrence: Occurrence, moment: str) -> None:
    """Record an Event on the migration."""
    reference = {name: value for name, value in key.owner.items() if name in {"apiVersion", "kind", "name", "uid"}} | {
        "namespace": key.namespace
    }
    client.create(
        Resources.EVENT.value,
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{key.name[:200]}.", "namespace": key.namespace},
            "involvedObject": reference,
            "reason": occurrence.reason,
            "message": occurrence.message[:1024],
            "type": "Warning" if occurrence.warning else "Normal",
            "source": {"component": MANAGER},
            "reportingComponent": MANAGER,
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
        },
    )


def _named(resource: Resource, name: str, request: Callable[[], object]) -> None:
    try:
        request()
    except RefusedError as refusal:
        if refusal.stale:
            raise
        raise ActionRefusedError(resource, name, refusal) from None


def _ensure(client: KubeClient, cache: Cache, key: MigrationKey, resource: Resource, value: KubeObject) -> None:
    try:
        client.create(resource, value)
    except RefusedError as refusal:
        if refusal.reason != "AlreadyExists":
            raise
        if "get" in resource.verbs:
            _check_own(client, cache, key, resource, value["metadata"]["name"], refusal.request)


def _apply(client: KubeClient, cache: Cache, key: MigrationKey, resource: Resource, value: KubeObject) -> None:
    name = value["metadata"]["name"]
    _check_own(client, cache, key, resource, name, f"PATCH {resource.path(key.namespace, name)}")
    client.apply(resource, value)


def _rehearse(client: KubeClient, resource: Resource, value: KubeObject) -> None:
    """An object that has the name meanwhile is found by whoever makes ours."""
    try:
        client.create(resource, value, rehearsal=True)
    except RefusedError as refusal:
        if refusal.reason != "AlreadyExists":
            raise


def _check_own(
    client: KubeClient, cache: Cache, key: MigrationKey, resource: Resource, name: str, request: str
) -> None:
    """Raises RefusedError: `Taken` when an object of this name is not this migration's, stale when it is going."""
    found = client.get(resource, key.namespace, name)
    if found is None:
        return
    metadata = found["metadata"]
    if "deletionTimestamp" in metadata or cache.orphaned(found):
        raise RefusedError(409, "Conflict", f"{resource.kind} {name} is being deleted", request)
    if metadata.get("labels", {}).get(MIGRATION_LABEL) != key.uid:
        message = f"{resource.kind} {name} is there already and belongs to something else"
        raise RefusedError(409, "Taken", message, request)


def _issue(client: KubeClient, key: MigrationKey, host: str) -> None:
    """The Secret cannot be read: when only one of the pair was made before a crash, both are made anew."""
    name = imageserver.server_name(key)
    client.delete(Resources.SECRET.value, key.namespace, name)
    made = issue(host)
    secret, trusted = imageserver.credentials(
        key, user=made.user, password=made.password, certificate=made.certificate, private_key=made.private_key
    )
    client.create(Resources.SECRET.value, secret)
    client.create(Resources.CONFIG_MAP.value, trusted)


def _set_finalizer(client: KubeClient, key: MigrationKey, migration: KubeObject, *, present: bool) -> None:
    """Without the object's version, which others may change all the time; their finalizers are left alone."""
    if present:
        # A set in server-side apply: each manager has items of its own.
        metadata = {"name": key.name, "namespace": key.namespace, "uid": key.uid, "finalizers": [FINALIZER]}
        client.apply(Resources.MIGRATION.value, {**_KIND, "metadata": metadata})
    elif FINALIZER in migration["metadata"].get("finalizers", []):
        place = f"/metadata/finalizers/{migration['metadata']['finalizers'].index(FINALIZER)}"
        client.remove_item(Resources.MIGRATION.value, key.namespace, key.name, place, FINALIZER)
