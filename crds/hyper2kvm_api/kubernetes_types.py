"""The pieces of Kubernetes' own API that the custom resources take over, with Kubernetes' own field names.

Source: https://kubernetes.io/docs/reference/generated/kubernetes-api/
"""

from typing import Annotated, Literal

from pydantic import Field

from hyper2kvm_api.document import Document
from hyper2kvm_api.scalars import ObjectName, ResourceAmount

Labels = Annotated[
    dict[Annotated[str, Field(max_length=317)], Annotated[str, Field(max_length=4096)]], Field(max_length=64)
]
"""Labels or annotations."""


class PersistentVolumeClaimSource(Document):
    """A claim in the migration's namespace."""

    claim_name: ObjectName
    """Name of the claim."""


class NfsSource(Document):
    """An NFS export."""

    server: str = Field(min_length=1, max_length=253)
    """Host name or address of the server."""
    path: str = Field(pattern=r"^/", max_length=4096)
    """Path that the server exports."""


class HostPathSource(Document):
    """A folder of the node. The chart must allow it (`hostPathSources.enabled`)."""

    path: str = Field(pattern=r"^/", max_length=4096)
    """Absolute path of the folder."""


class Toleration(Document):
    """A taint that the conversion's pods tolerate."""

    key: str | None = Field(default=None, max_length=317)
    """Key of the taint; every key when absent."""
    operator: Literal["Equal", "Exists"] | None = None
    """How the value is compared. Kubernetes' default is Equal."""
    value: str | None = Field(default=None, max_length=63)
    """Value of the taint."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; every effect when absent."""
    toleration_seconds: int | None = None
    """Seconds to stay after a NoExecute taint was added."""


class Resources(Document):
    """What a container asks for and may use."""

    requests: dict[Annotated[str, Field(max_length=63)], ResourceAmount] = Field(default={}, max_length=16)
    """Requested amounts by resource name."""
    limits: dict[Annotated[str, Field(max_length=63)], ResourceAmount] = Field(default={}, max_length=16)
    """Upper bounds by resource name."""


class Condition(Document):
    """One aspect of an object's state (`metav1.Condition`)."""

    type: str = Field(max_length=316)
    """Name of the aspect in CamelCase."""
    status: Literal["True", "False", "Unknown"]
    """Whether the condition holds."""
    reason: str = Field(max_length=1024)
    """Why, as one CamelCase word that programs can rely on."""
    message: str = Field(max_length=32768)
    """Why, for a person, with what to do next."""
    last_transition_time: str = Field(max_length=64)
    """When `status` last changed (RFC 3339)."""
    observed_generation: int | None = None
    """The generation of the object that this was computed from."""
