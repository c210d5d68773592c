"""manifests/install.yaml, made from the chart by Helm: `python tests/lab/manifests.py [--check]`."""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests"))

from hyper2kvm.run import run  # noqa: E402 -- after the path
from lab.cluster.binaries import HELM, ensure_built  # noqa: E402
from lab.product import CHART, NAMESPACE  # noqa: E402

INSTALL = REPOSITORY / "manifests/install.yaml"
_HEAD = f"""\
# Generated from charts/hyper2kvm by `make generate`. Do not edit. Set the two images, then:
# kubectl create namespace {NAMESPACE}
# kubectl apply --server-side --filename=install.yaml
"""


def rendered() -> str:
    """The chart with its own values.

    Raises:
        HostError: ProgramFailed with Helm's words.
    """
    ensure_built(HELM)
    arguments = ["template", "hyper2kvm", str(CHART), f"--namespace={NAMESPACE}"]
    return _HEAD + run([str(HELM.program("helm")), *arguments], deadline=120).text


def main(arguments: list[str]) -> int:
    """Write the file, or say whether it is what the chart makes."""
    text = rendered()
    if "--check" not in arguments:
        INSTALL.write_text(text)
        return 0
    return 0 if INSTALL.exists() and INSTALL.read_text() == text else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
