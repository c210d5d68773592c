"""The kinds of the Prometheus operator, as its release defines them. Nothing on the cluster acts on them."""

from collections.abc import Iterator
from contextlib import contextmanager

from lab.cluster.cluster import Cluster
from lab.cluster.gomodule import Module, fetch
from lab.cluster.layout import CACHE

GROUP = "monitoring.coreos.com"

_MODULE = Module(
    "github.com/prometheus-operator/prometheus-operator",
    "v0.85.0",
    "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
)
_KINDS = ("prometheusrules", "servicemonitors")


@contextmanager
def kinds(cluster: Cluster) -> Iterator[None]:
    """The API server knows, and judges, ServiceMonitors and PrometheusRules.

    Raises:
        HostError: ProgramFailed when the definitions cannot be had, or are refused.
    """
    folder = CACHE / "cluster/modules" / _MODULE.version
    if not folder.exists():
        fetch(_MODULE, folder)
    names = [f"crd/{kind}.{GROUP}" for kind in _KINDS]
    files = [folder / f"example/prometheus-operator-crd/{GROUP}_{kind}.yaml" for kind in _KINDS]
    try:
        cluster.apply(*(file.read_text() for file in files))
        cluster.kubectl("wait", "--for=condition=Established", *names, "--timeout=30s")
        yield
    finally:
        cluster.kubectl("delete", *names, "--ignore-not-found")
