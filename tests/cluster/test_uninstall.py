"""An uninstallation that takes the definitions along: refused while a migration would stay in its deletion for ever."""

import json

import pytest

from hyper2kvm_api.errors import HostError
from lab import product
from lab.cluster.progress import wait_for
from lab.scenario.moments import held
from lab.scenario.objects import migration
from lab.scenario.project import KIND

pytestmark = [pytest.mark.cluster, pytest.mark.alone]

CRD = "virtualmachinemigrations.hyper2kvm.io"
JOB = f"{product.DEPLOYMENT}-uninstall"


def test_definitions_go_with_the_release_only_when_no_migration_needs_the_operator(
    operator, cluster, project, tiny_disk
):
    project.source({"tiny.qcow2": tiny_disk})
    operator.install("crds.keep=false")
    project.apply(migration("tiny", "tiny.qcow2"))
    with held(project, "tiny"), pytest.raises(HostError):
        operator.uninstall()
    assert f"{project.namespace}/tiny" in operator.kubectl("logs", f"job/{JOB}")
    # Nothing has happened, and Helm takes the release up again.
    assert project.get(KIND, "tiny") is not None
    revision = json.loads(operator.helm("history", product.RELEASE, "--output=json"))[-1]["revision"]
    operator.helm("rollback", product.RELEASE, str(revision), "--wait", "--timeout=120s")
    operator.install("crds.keep=false", "operator.workers=4")
    assert operator.settings().workers == 4
    project.delete("tiny")
    # Namespaces of other tests may be going still. What is over elsewhere, such as a demonstration's, is in nobody's way.
    finalizers = ("get", KIND, "-A", "--output=jsonpath={.items[*].metadata.finalizers}")
    wait_for("the end of all work", lambda: cluster.kubectl(*finalizers).strip() or None, deadline=120)
    operator.uninstall()
    try:
        cluster.wait_gone("customresourcedefinition", CRD)
        assert cluster.get("job", JOB, product.NAMESPACE) is None
    finally:
        operator.install()
    assert project.source_is_unchanged()
