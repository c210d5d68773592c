"""Writes manifests/install.yaml: the chart with its default values, for those who install without Helm.

`python tests/lab/manifest.py` writes it, `--check` only says whether it is what it should be.
"""

import sys
from pathlib import Path
from typing import Any

# Run as a file, Python puts this folder first on the path; the package's parent belongs there.
sys.path[0] = str(Path(__file__).resolve().parents[1])

import yaml  # noqa: E402 -- after the path

from hyper2kvm.run import run  # noqa: E402 -- as above
from hyper2kvm_api.generated import Table, header, main  # noqa: E402 -- as above
from lab import product  # noqa: E402 -- as above
from lab.cluster.binaries import KUBERNETES, ensure_built  # noqa: E402 -- as above
from lab.cluster.kubectl import caches  # noqa: E402 -- as above
from lab.cluster.layout import CACHE  # noqa: E402 -- as above

PATH = "manifests/install.yaml"
_RELEASE = "hyper2kvm"
_HELMS = ("helm.sh/", "app.kubernetes.io/managed-by")
"""Labels and annotations that would say that Helm looks after these objects."""


def install_manifest() -> str:
    """The manifest.

    Raises:
        HostError: ProgramFailed with Helm's words.
    """
    ensure_built(KUBERNETES)
    helm = str(KUBERNETES.program("helm"))
    command = [helm, "template", _RELEASE, str(product.CHART), f"--namespace={product.NAMESPACE}"]
    rendered = yaml.safe_load_all(run(command, deadline=60, environment=caches(CACHE / "helm")).text)
    objects = [_without_helm(one) for one in rendered if one]
    metadata = {"name": product.NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    text = yaml.safe_dump_all([namespace, *objects], sort_keys=False, width=120)
    return f"# {header('charts/hyper2kvm')}\n{text}"


def _without_helm(value: dict[str, Any]) -> dict[str, Any]:
    metadata = dict(value["metadata"])
    for kind in ("labels", "annotations"):
        kept = {name: text for name, text in metadata.pop(kind, {}).items() if not name.startswith(_HELMS)}
        metadata |= {kind: kept} if kept else {}
    return {**value, "metadata": metadata}


GENERATED: Table = {PATH: install_manifest}


if __name__ == "__main__":
    sys.exit(main(GENERATED, sys.argv[1:]))
