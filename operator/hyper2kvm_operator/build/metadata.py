"""Names, labels and owners of what belongs to a migration."""

import hashlib
from dataclasses import dataclass
from typing import Any, TypeAlias

from hyper2kvm_api.migration import API_VERSION
from hyper2kvm_operator.kube.resources import MANAGED_BY, MANAGER, MIGRATION_LABEL, NAME_LABEL, Resource

Json: TypeAlias = dict[str, Any]
"""A JSON object, as Kubernetes takes it."""

_LIMIT = 63
_HASH = 8


@dataclass(frozen=True)
class MigrationKey:
    """Which migration something belongs to."""

    namespace: str
    name: str
    uid: str

    def child(self, suffix: str) -> str:
        """The name of a child: `web01-convert`. Long names are cut and made unique by a digest; at most 63 characters."""
        name = f"{self.name}-{suffix}"
        if len(name) <= _LIMIT:
            return name.replace(".", "-") if "." in name else name
        short = hashlib.sha256(self.name.encode()).hexdigest()[:_HASH]
        kept = self.name[: _LIMIT - len(suffix) - _HASH - 2].rstrip("-.")
        return f"{kept}-{short}-{suffix}".replace(".", "-")

    @property
    def labels(self) -> dict[str, str]:
        """Labels of every child."""
        return {MANAGED_BY: MANAGER, MIGRATION_LABEL: self.uid, NAME_LABEL: self.name[:_LIMIT].rstrip("-.")}

    @property
    def owner(self) -> Json:
        """The owner reference that ties a child's life to the migration's."""
        return {
            "apiVersion": API_VERSION,
            "kind": "VirtualMachineMigration",
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }


def new_object(
    resource: Resource,
    key: MigrationKey,
    name: str,
    *,
    owned: bool = True,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
) -> Json:
    """The head of a child object.

    Args:
        resource: its kind.
        key: its migration.
        name: its name.
        owned: whether it is removed with the migration.
        labels: labels beside the migration's.
        annotations: annotations.
    """
    metadata: Json = {"name": name, "namespace": key.namespace, "labels": {**(labels or {}), **key.labels}}
    if annotations:
        metadata["annotations"] = annotations
    if owned:
        metadata["ownerReferences"] = [key.owner]
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
