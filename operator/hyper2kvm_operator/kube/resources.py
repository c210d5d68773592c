"""The kinds of objects that the operator reads or writes, and their places in the API. RBAC is generated from this."""

from dataclasses import dataclass
from enum import Enum

from hyper2kvm_api.migration import API_VERSION, GROUP

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "hyper2kvm"
"""Label and value that every object which the operator makes carries; watches are limited to it."""


MIGRATION_LABEL = f"{GROUP}/migration"
"""Label of every child: the uid of its migration."""

NAME_LABEL = f"{GROUP}/migration-name"
"""Label of every child: the name of its migration, cut to what a label can hold; for people."""

ROLE_LABEL = f"{GROUP}/role"
"""Label of Jobs and pods: `plan`, `convert` or `serve`."""


SUSPENDED = f"{GROUP}/suspended"
"""Annotation of a Job that the operator itself holds. One that a queueing system holds is left to it."""


@dataclass(frozen=True)
class Resource:
    """A kind's place in the API.

    Attributes:
        api_version: group and version, as objects state it.
        kind: CamelCase name.
        plural: name in paths.
        verbs: what the operator does with it.
        namespaced: whether objects lie in namespaces.
        subresources: verbs by subresource.
    """

    api_version: str
    kind: str
    plural: str
    verbs: tuple[str, ...]
    namespaced: bool = True
    subresources: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def group(self) -> str:
        """The API group; empty for core."""
        return self.api_version.rpartition("/")[0]

    def path(self, namespace: str | None, name: str | None = None) -> str:
        """The URL path of an object, or of the collection. Without a namespace: of all namespaces."""
        prefix = f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"
        middle = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{prefix}{middle}/{self.plural}" + (f"/{name}" if name else "")


_CHILD = ("get", "list", "watch", "create", "patch", "delete")


def _referenced(kind: str, *, namespaced: bool = True) -> Resource:
    return Resource("instancetype.kubevirt.io/v1beta1", kind, f"{kind.lower()}s", ("get",), namespaced=namespaced)


class Resources(Enum):
    """Every kind."""

    MIGRATION = Resource(
        API_VERSION,
        "VirtualMachineMigration",
        "virtualmachinemigrations",
        ("list", "watch", "patch"),
        subresources=(("status", ("patch",)), ("finalizers", ("update",))),
    )
    PROFILE = Resource(API_VERSION, "MigrationProfile", "migrationprofiles", ("list", "watch"))
    JOB = Resource("batch/v1", "Job", "jobs", _CHILD)
    POD = Resource("v1", "Pod", "pods", ("get", "list", "watch", "create", "delete"), subresources=(("log", ("get",)),))
    CLAIM = Resource("v1", "PersistentVolumeClaim", "persistentvolumeclaims", _CHILD)
    CONFIG_MAP = Resource("v1", "ConfigMap", "configmaps", ("get", "create", "patch", "delete"))
    SECRET = Resource("v1", "Secret", "secrets", ("create", "delete"))
    """Never read: whatever needs a Secret's value is a pod that mounts it."""
    SERVICE = Resource("v1", "Service", "services", ("get", "create", "delete"))
    EVENT = Resource("v1", "Event", "events", ("list", "create"))
    NODE = Resource("v1", "Node", "nodes", ("list",), namespaced=False)
    STORAGE_CLASS = Resource("storage.k8s.io/v1", "StorageClass", "storageclasses", ("list",), namespaced=False)
    DATA_VOLUME = Resource("cdi.kubevirt.io/v1beta1", "DataVolume", "datavolumes", _CHILD)
    CDI_CONFIG = Resource("cdi.kubevirt.io/v1beta1", "CDIConfig", "cdiconfigs", ("get",), namespaced=False)
    VIRTUAL_MACHINE = Resource("kubevirt.io/v1", "VirtualMachine", "virtualmachines", ("get", "list", "create"))
    INSTANCETYPE = _referenced("VirtualMachineInstancetype")
    CLUSTER_INSTANCETYPE = _referenced("VirtualMachineClusterInstancetype", namespaced=False)
    PREFERENCE = _referenced("VirtualMachinePreference")
    CLUSTER_PREFERENCE = _referenced("VirtualMachineClusterPreference", namespaced=False)
    NETWORK = Resource("k8s.cni.cncf.io/v1", "NetworkAttachmentDefinition", "network-attachment-definitions", ("get",))
    """KubeVirt takes a machine that refers to one of these five that is not there, and never starts it."""
