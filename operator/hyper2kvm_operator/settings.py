"""The operator's settings: environment variables, which the chart fills from its values."""

from collections.abc import Mapping

import yaml
from pydantic import Field

from hyper2kvm_api.document import Document
from hyper2kvm_api.errors import SpecError
from hyper2kvm_api.kubernetes_types import Labels, Resources, Toleration
from hyper2kvm_api.manifest import parse
from hyper2kvm_api.options import KvmMode
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.scalars import ObjectName

PREFIX = "HYPER2KVM_"
"""Every setting is read from the variable with this prefix: `maxConcurrent` from HYPER2KVM_MAX_CONCURRENT."""


MIN_FINISHED_TTL = 300
"""Seconds. A Job that is removed before the operator has read its verdict is run again."""


class Settings(Document):
    """What an administrator decides for all migrations."""

    conversion_image: str = Field(min_length=1)
    """Image of the Jobs."""
    image_pull_policy: str = Field(default="IfNotPresent", pattern="^(Always|IfNotPresent|Never)$")
    """When nodes fetch the image."""
    image_pull_secrets: list[ObjectName] = []
    """Secrets with which nodes fetch the image; they must exist in the migrations' namespaces."""
    watch_namespaces: list[ObjectName] = []
    """Namespaces whose migrations are handled; all when empty."""
    max_concurrent: int = Field(default=10, ge=1)
    """Migrations that are planned or converted at the same time; the others wait in order of their creation."""
    kvm: KvmMode = KvmMode.AUTO
    """How pods get at KVM where a migration does not say."""
    allow_host_path: bool = False
    """Whether sources may be folders of the nodes."""
    resources: Resources = Resources(requests={"cpu": "1", "memory": "1Gi"}, limits={"memory": "3Gi"})
    """Requests and limits of the conversion's container."""
    node_selector: Labels = {}
    """Labels that nodes must have, for all Jobs."""
    tolerations: list[Toleration] = []
    """Taints that all Jobs tolerate."""
    job_deadline: int = Field(default=7 * 24 * 3600, ge=60)
    """Seconds after which a Job is ended."""
    start_deadline: int = Field(default=600, ge=10)
    """Seconds that a pod may wait for its node, volumes or image before the migration fails."""
    finished_job_ttl: int = Field(default=24 * 3600, ge=MIN_FINISHED_TTL)
    """Seconds that finished Jobs stay for looking at. The operator needs some of them to read the verdict."""
    port: int = Field(default=8080, ge=1, le=65535)
    """Port of metrics and health."""
    workers: int = Field(default=8, ge=1, le=64)
    """Threads that reconcile."""
    log_format: str = Field(default="json", pattern="^(json|text)$")
    """Form of the operator's own log."""
    cluster_domain: str = "cluster.local"
    """DNS domain of the cluster, for the addresses of Services."""


def from_environment(environment: Mapping[str, str]) -> Settings:
    """The settings that environment variables state. Lists and maps are written as YAML.

    Raises:
        SpecError: a variable has a wrong value, or one with the prefix is no setting.
    """
    names = {PREFIX + name.upper(): str(field.alias) for name, field in Settings.model_fields.items()}
    given = {key: value for key, value in environment.items() if key.startswith(PREFIX) and value != ""}
    values = {names.get(key, key): _value(key, text, names) for key, text in given.items()}
    return parse(Settings, values, "environment")


def _value(key: str, text: str, names: Mapping[str, str]) -> object:
    field = Settings.model_fields.get(key.removeprefix(PREFIX).lower())
    if field is None or key not in names or field.annotation is str:
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SpecError(Reason.INVALID_SPEC, f"environment: {key} is no YAML: {' '.join(str(error).split())}") from None
