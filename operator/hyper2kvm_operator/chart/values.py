"""The values of the Helm chart. values.yaml, values.schema.json and the reference page are made from this model."""

from importlib.metadata import version
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from hyper2kvm_api.document import Document
from hyper2kvm_api.kubernetes_types import Labels, Resources, Toleration
from hyper2kvm_api.options import KvmMode
from hyper2kvm_api.scalars import ObjectName
from hyper2kvm_operator.settings import MIN_FINISHED_TTL, Settings

VERSION = version("hyper2kvm-operator")
"""Version of the images that the chart installs: pyproject.toml's."""

Free = dict[str, Any]
"""A piece of Kubernetes' own API that the chart passes through."""

_DEFAULTS = Settings(conversion_image="-")


class Image(Document):
    """An image and when it is fetched."""

    name: str
    """Repository and tag, or repository and digest."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When nodes fetch it."""


class OperatorValues(Document):
    """The operator's pod."""

    image: Image = Image(name=f"hyper2kvm-operator:{VERSION}")
    """Image of the operator."""
    resources: Resources = Resources(requests={"cpu": "100m", "memory": "128Mi"}, limits={"memory": "512Mi"})
    """Requests and limits of the operator."""
    node_selector: Labels = {}
    """Labels that the operator's node must have."""
    tolerations: list[Toleration] = []
    """Taints that the operator tolerates."""
    affinity: Free = {}
    """Affinity of the operator's pod."""
    priority_class_name: str = ""
    """Priority class of the operator's pod."""
    pod_labels: Labels = {}
    """More labels of the operator's pod."""
    pod_annotations: Labels = {}
    """Annotations of the operator's pod."""
    port: int = Field(default=_DEFAULTS.port, ge=1, le=65535)
    """Port of metrics and health."""
    workers: int = Field(default=_DEFAULTS.workers, ge=1, le=64)
    """Threads that reconcile."""
    log_format: Literal["json", "text"] = "json"
    """Form of the operator's log."""


class ConversionValues(Document):
    """The Jobs that plan and convert."""

    image: Image = Image(name=f"hyper2kvm-conversion:{VERSION}")
    """Image of the Jobs."""
    resources: Resources = _DEFAULTS.resources
    """Requests and limits of a conversion's container; a migration may state others."""
    node_selector: Labels = {}
    """Labels that nodes must have, for all Jobs."""
    tolerations: list[Toleration] = []
    """Taints that all Jobs tolerate."""
    deadline: int = Field(default=_DEFAULTS.job_deadline, ge=60)
    """Seconds after which a Job is ended."""
    start_deadline: int = Field(default=_DEFAULTS.start_deadline, ge=10)
    """Seconds that a pod may wait for its node, volumes or image before the migration fails."""
    finished_ttl: int = Field(default=_DEFAULTS.finished_job_ttl, ge=MIN_FINISHED_TTL)
    """Seconds that finished Jobs stay for looking at; five minutes at least."""


class HostPathValues(Document):
    """Sources that are folders of the nodes."""

    enabled: bool = False
    """Whether they are allowed."""


class CrdValues(Document):
    """The CustomResourceDefinitions."""

    install: bool = True
    """Whether the chart installs and upgrades them."""
    keep: bool = True
    """Whether they, and with them every migration object, stay when the chart is uninstalled."""


class ServiceAccountValues(Document):
    """The operator's service account."""

    annotations: Labels = {}
    """Its annotations."""


class ServiceMonitorValues(Document):
    """The Prometheus operator's ServiceMonitor."""

    enabled: bool = False
    """Whether it is made."""
    interval: str = "30s"
    """How often metrics are asked for."""
    labels: Labels = {}
    """More labels, by which a Prometheus selects it."""


class PrometheusRuleValues(Document):
    """The Prometheus operator's PrometheusRule with alerts."""

    enabled: bool = False
    """Whether it is made."""
    labels: Labels = {}
    """More labels, by which a Prometheus selects it."""


class DashboardValues(Document):
    """The Grafana dashboard, as a ConfigMap."""

    enabled: bool = False
    """Whether it is made."""
    labels: Labels = {"grafana_dashboard": "1"}
    """Labels that Grafana's sidecar looks for."""


class NetworkPolicyValues(Document):
    """Limits the operator to the API server and DNS, and lets in who asks for metrics."""

    enabled: bool = False
    """Whether it is made."""
    api_server_ports: list[Annotated[int, Field(ge=1, le=65535)]] = Field(default=[443, 6443], min_length=1)
    """Ports of the API server, as the cluster's network plugin sees them."""
    metrics_from: list[Free] = []
    """Who may ask for metrics, as NetworkPolicy peers; everyone when empty."""


class DisruptionBudgetValues(Document):
    """The operator's PodDisruptionBudget."""

    enabled: bool = False
    """Whether it is made."""


class Values(Document):
    """Values of the chart hyper2kvm."""

    model_config = ConfigDict(title="hyper2kvm")

    operator: OperatorValues = OperatorValues()
    """The operator's pod."""
    conversion: ConversionValues = ConversionValues()
    """The Jobs that plan and convert."""
    image_pull_secrets: list[ObjectName] = []
    """Secrets with which nodes fetch both images. Those of the Jobs must exist in the migrations' namespaces."""
    kvm: KvmMode = _DEFAULTS.kvm
    """How conversion pods get at KVM: Auto, DevicePlugin, Privileged or None (emulation)."""
    max_concurrent: int = Field(default=_DEFAULTS.max_concurrent, ge=1)
    """Migrations that are planned or converted at the same time."""
    watch_namespaces: list[ObjectName] = []
    """Namespaces whose migrations are handled; all when empty. The operator's rights are limited to them."""
    host_path_sources: HostPathValues = HostPathValues()
    """Sources that are folders of the nodes."""
    cluster_domain: str = _DEFAULTS.cluster_domain
    """DNS domain of the cluster."""
    crds: CrdValues = CrdValues()
    """The CustomResourceDefinitions."""
    service_account: ServiceAccountValues = ServiceAccountValues()
    """The operator's service account."""
    service_monitor: ServiceMonitorValues = ServiceMonitorValues()
    """The Prometheus operator's ServiceMonitor."""
    prometheus_rule: PrometheusRuleValues = PrometheusRuleValues()
    """The Prometheus operator's PrometheusRule with alerts."""
    grafana_dashboard: DashboardValues = DashboardValues()
    """The Grafana dashboard, as a ConfigMap."""
    network_policy: NetworkPolicyValues = NetworkPolicyValues()
    """Limits the operator to the API server and DNS, and lets in who asks for metrics."""
    pod_disruption_budget: DisruptionBudgetValues = DisruptionBudgetValues()
    """The operator's PodDisruptionBudget."""
