"""The chart as Helm renders it, without a cluster."""

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from hyper2kvm.run import run
from lab import product
from lab.cluster.binaries import KUBERNETES, ensure_built
from lab.cluster.kubectl import caches
from lab.cluster.layout import CACHE
from lab.scenario.objects import Json

EVERYTHING = (
    "serviceMonitor.enabled=true",
    "prometheusRule.enabled=true",
    "grafanaDashboard.enabled=true",
    "networkPolicy.enabled=true",
    "podDisruptionBudget.enabled=true",
    "hostPathSources.enabled=true",
    "imagePullSecrets={registry}",
    "operator.priorityClassName=system-cluster-critical",
    "operator.podLabels.team=platform",
    "operator.nodeSelector.disk=fast",
    "serviceAccount.annotations.note=kept",
)
"""Values with which the chart makes all that is optional."""


@dataclass(frozen=True)
class Release:
    """What would be installed.

    Attributes:
        name: the release's.
        namespace: where it would be.
        manifests: YAML of all of it, with what hooks would make.
        notes: what Helm would tell whoever installs it.
    """

    name: str
    namespace: str
    manifests: list[str]
    notes: str

    @cached_property
    def objects(self) -> list[Json]:
        """The objects of the manifests."""
        return [value for text in self.manifests for value in yaml.safe_load_all(text) if value]

    def all(self, kind: str) -> list[Json]:
        """The objects of a kind."""
        return [each for each in self.objects if each["kind"] == kind]

    def one(self, kind: str) -> Json:
        """The only object of a kind."""
        (found,) = self.all(kind)
        return found


def render(
    *settings: str, name: str = product.RELEASE, namespace: str = product.NAMESPACE, chart: Path = product.CHART
) -> Release:
    """Render the chart.

    Args:
        settings: its values as `path=value`.
        name: the release's.
        namespace: where it would be installed.
        chart: its folder.

    Raises:
        HostError: ProgramFailed with Helm's words.
    """
    chosen = [f"--set={value}" for value in settings]
    simulated = ("--dry-run=client", "--output=json", f"--namespace={namespace}")
    told = json.loads(helm("install", name, str(chart), *simulated, *chosen))
    manifests = [told["manifest"], *(hook["manifest"] for hook in told.get("hooks", []))]
    return Release(name, namespace, manifests, told["info"]["notes"])


def helm(*arguments: str) -> str:
    """Run Helm without a cluster; what it prints.

    Raises:
        HostError: ProgramFailed with Helm's words.
    """
    ensure_built(KUBERNETES)
    environment = {**caches(CACHE / "helm"), "KUBECONFIG": os.devnull}
    return run([str(KUBERNETES.program("helm")), *arguments], deadline=60, environment=environment).text
