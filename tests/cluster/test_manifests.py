"""The manifests of the repository and those of its documentation, on a real API server."""

import json
import os

import pytest

from hyper2kvm.run import run
from hyper2kvm_api.generated import main
from lab import product
from lab.cluster.binaries import KUBERNETES
from lab.cluster.progress import wait_for
from lab.documentation import Page, pages
from lab.guests.tiny import tiny_guest
from lab.manifest import GENERATED
from lab.product import REPOSITORY
from lab.scenario.ending import finished_cleanly
from lab.scenario.objects import migration
from lab.scenario.project import KIND

pytestmark = pytest.mark.cluster

EXAMPLES = sorted((REPOSITORY / "manifests/examples").glob("*.yaml"))
WITH_OBJECTS = [page for page in pages() if page.objects]


PRIORITY = {
    "apiVersion": "scheduling.k8s.io/v1",
    "kind": "PriorityClass",
    "metadata": {"name": "migrations"},
    "value": 1000,
}
"""What an example expects of the cluster. It stays there: other workers' tests expect it too."""


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_planned(operator, kubevirt_cluster, project, path):
    """Its source is not there: the operator takes its specification, and has the source looked for by a pod."""
    kubevirt_cluster.apply(PRIORITY)
    project.kubectl("apply", f"--filename={path}")
    applied = [one["metadata"]["name"] for one in project.items(KIND)]
    assert applied
    for name in applied:
        project.kubectl("wait", "--for=create", f"job/{name}-plan", "--timeout=60s", deadline=70)
        wait_for(f"the pod of {name}", lambda name=name: None if project.pods(name, "plan") else "none", deadline=30)
        assert project.phase(name) == "Planning"


@pytest.mark.parametrize("page", WITH_OBJECTS, ids=lambda page: page.name)
def test_objects_of_the_documentation_are_accepted(operator, project, page):
    for value in page.objects:
        metadata = {**value["metadata"], "namespace": project.namespace}
        applied = json.dumps({**value, "metadata": metadata})
        project.cluster.kubectl("apply", "--server-side", "--dry-run=server", "--filename=-", stdin=applied)


def test_the_daemon_set_of_the_documentation_keeps_the_image_on_the_node(operator, project):
    page = REPOSITORY / "docs/tasks/warm-images.md"
    (value,) = Page(page, page.read_text()).objects
    project.cluster.tag_image(product.image("conversion"), value["spec"]["template"]["spec"]["containers"][0]["image"])
    project.kubectl("label", "namespace", project.namespace, "pod-security.kubernetes.io/enforce=restricted")
    project.apply({**value, "metadata": {"name": value["metadata"]["name"]}})
    ready = ("daemonset", value["metadata"]["name"], "status.numberReady", "1")
    project.cluster.wait(*ready, namespace=project.namespace)


def test_the_dry_run_shows_what_would_be_changed_in_a_guest(operator, project, tmp_path):
    project.source({"debian12-bios.ova": tiny_guest(tmp_path / "guest").ova})
    project.kubectl("apply", f"--filename={REPOSITORY / 'manifests/examples/dry-run.yaml'}")
    status = project.wait_phase("look", "Succeeded")
    report = json.loads(project.get("configmap", status["report"])["data"]["report.json"])
    (fstab,) = (edit for edit in report["fixed"]["edits"] if edit["path"] == "/etc/fstab")
    assert "-/dev/sda1" in fstab["diff"]
    assert fstab["reasons"]
    assert report["plan"]["machine"] == status["machine"]
    assert report["fixed"]["applied"] is False
    assert [one for one in project.leftovers(patience=0) if "persistentvolumeclaim" in one] == []
    project.delete("look")
    assert project.leftovers() == []
    assert project.source_is_unchanged()


def test_install_yaml_is_what_the_chart_makes():
    assert main(GENERATED, ["--check"]) == 0


@pytest.mark.alone
def test_install_yaml_is_installed_as_the_documentation_says(operator, project, bootable_disk):
    """It has the default values: KVM as the nodes offer it, a log of JSON lines."""
    project.source({"tiny.qcow2": bootable_disk})
    operator.uninstall()
    try:
        installed(project.cluster)
        project.apply(migration("tiny", "tiny.qcow2"))
        finished_cleanly(project, "tiny")
        log = [json.loads(line) for line in operator.kubectl("logs", "deployment/hyper2kvm").splitlines()]
        told = [line["message"] for line in log if line.get("migration") == f"{project.namespace}/tiny"]
        assert {"Planning", "Converting", "HandingOff", "Succeeded"} <= set(told)
    finally:
        selector = "--selector=app.kubernetes.io/part-of=hyper2kvm"
        kinds = "deployment,service,serviceaccount,clusterrole,clusterrolebinding"
        project.cluster.kubectl("delete", kinds, selector, f"--namespace={product.NAMESPACE}", deadline=90)
        operator.install()


def installed(cluster) -> None:
    """Run the page's own command line, with images that the node has."""
    page = REPOSITORY / "docs/tasks/install.md"
    (command,) = (block for block in Page(page, page.read_text()).blocks("sh") if "install.yaml" in block)
    for name in ("operator", "conversion"):
        image = f"registry.example/hyper2kvm-{name}:0.1.0"
        cluster.tag_image(product.image(name), image)
    environment = {
        "KUBECONFIG": str(cluster.kubeconfig),
        "PATH": f"{KUBERNETES.folder}:{os.environ['PATH']}",
        **cluster.kubectl.environment,
    }
    run(["bash", "-euc", f"cd {REPOSITORY}; set -o pipefail; {command}"], deadline=120, environment=environment)
    rollout = ("rollout", "status", "deployment/hyper2kvm", f"--namespace={product.NAMESPACE}", "--timeout=120s")
    cluster.kubectl(*rollout, deadline=130)
