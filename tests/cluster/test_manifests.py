"""The manifests of the repository, on a real API server."""

import pytest

from hyper2kvm_api.generated import main
from lab.manifest import GENERATED, PATH
from lab.product import REPOSITORY

pytestmark = pytest.mark.cluster

EXAMPLES = sorted((REPOSITORY / "manifests/examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_accepted(operator, project, path):
    project.kubectl("apply", "--server-side", "--dry-run=server", f"--filename={path}")


def test_install_yaml_is_what_the_chart_makes():
    assert main(GENERATED, ["--check"]) == 0


def test_install_yaml_is_accepted(operator, cluster):
    cluster.kubectl(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", f"--filename={REPOSITORY / PATH}"
    )
