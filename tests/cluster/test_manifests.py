"""The manifests of the repository, on a real API server."""

import pytest

from hyper2kvm_api.generated import main
from lab.guests.tiny import tiny_guest
from lab.manifest import GENERATED, PATH
from lab.product import REPOSITORY
from lab.scenario.project import KIND

pytestmark = pytest.mark.cluster

EXAMPLES = sorted((REPOSITORY / "manifests/examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_understood_by_the_operator(operator, project, path):
    """Nothing that it names is there: the operator looks for it, and does not stumble over the specification."""
    project.kubectl("apply", f"--filename={path}")
    for migration in project.items(KIND):
        status = project.wait_phase(migration["metadata"]["name"], "Planning", "Failed")
        assert status.get("failure", {}).get("reason", "SourceVolumeMissing") == "SourceVolumeMissing"


def test_the_dry_run_shows_what_would_be_changed_in_a_guest(operator, project, tmp_path):
    project.source({"debian12-bios.ova": tiny_guest(tmp_path / "guest").ova})
    project.kubectl("apply", f"--filename={REPOSITORY / 'manifests/examples/dry-run.yaml'}")
    status = project.wait_phase("look", "Succeeded")
    report = project.get("configmap", status["report"])["data"]["report.json"]
    assert "/etc/fstab" in report
    assert [one for one in project.leftovers(patience=0) if "persistentvolumeclaim" in one] == []
    assert project.source_is_unchanged()


def test_install_yaml_is_what_the_chart_makes():
    assert main(GENERATED, ["--check"]) == 0


def test_install_yaml_is_accepted(operator, cluster):
    cluster.kubectl(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", f"--filename={REPOSITORY / PATH}"
    )
