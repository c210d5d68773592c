"""The chart with real Helm on a real API server: its life, and the operator's rights."""

import datetime as dt
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from hyper2kvm_api.errors import HostError
from hyper2kvm_operator.build.imageserver import server_name
from lab import product
from lab.chart import EVERYTHING, render
from lab.cluster.cluster import Cluster
from lab.cluster.progress import wait_for
from lab.scenario import monitoring
from lab.scenario.ending import failed, finished_cleanly
from lab.scenario.installation import Installation
from lab.scenario.moments import held
from lab.scenario.objects import migration, quota
from lab.scenario.project import KIND, Project

pytestmark = [pytest.mark.cluster, pytest.mark.alone]


def kinds(objects: list[dict]) -> set[str]:
    return {one["kind"] for one in objects}


def test_every_optional_part_is_accepted(operator, cluster):
    objects = render(*EVERYTHING).objects
    optional = {"ServiceMonitor", "PrometheusRule", "NetworkPolicy", "PodDisruptionBudget"}
    assert optional <= kinds(objects)
    assert not optional & kinds(render().objects)
    judge = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--filename=-")
    with monitoring.kinds(cluster):
        for one in objects:
            cluster.kubectl(*judge, stdin=json.dumps(one))
        monitor = next(one for one in objects if one["kind"] == "ServiceMonitor")
        monitor["spec"]["endpoints"][0]["intervall"] = "1s"
        with pytest.raises(HostError, match="intervall"):
            cluster.kubectl(*judge, stdin=json.dumps(monitor))


def test_a_disruption_budget_lets_a_node_be_drained(operator, cluster):
    """The operator's only pod may be evicted, and another one takes its place."""
    operator.install("podDisruptionBudget.enabled=true")
    try:
        (pod,) = operator.pods()
        cluster.evict(pod, product.NAMESPACE)
        cluster.wait_gone("pod", pod, namespace=product.NAMESPACE)
        operator.wait_ready()
        assert pod not in operator.pods()
    finally:
        operator.install()


def test_the_operator_runs_in_a_restricted_namespace(operator, cluster):
    label = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "--overwrite", "namespace", product.NAMESPACE, label)
    operator.scale(0)
    operator.scale(1)


USER = 1_000_680_000


def test_the_operator_runs_as_the_user_that_a_cluster_chooses(operator, project, tiny_disk, tmp_path):
    """OpenShift gives each namespace users of its own, with the group 0, and refuses pods that name one."""
    chart = shutil.copytree(product.CHART, tmp_path / "chart")
    helpers = chart / "templates/_helpers.tpl"
    ours = helpers.read_text()
    assert "runAsUser" not in ours
    theirs = f"runAsNonRoot: true\n  runAsUser: {USER}\n  runAsGroup: 0"
    helpers.write_text(ours.replace("runAsNonRoot: true", theirs))
    operator.install(chart=chart)
    try:
        assert Path(f"/proc/{operator.process()}").stat().st_uid == USER
        project.source({"tiny.qcow2": tiny_disk})
        project.apply(migration("tiny", "tiny.qcow2"))
        finished_cleanly(project, "tiny")
    finally:
        operator.install()


CRD = "files/crds/hyper2kvm.io_virtualmachinemigrations.yaml"
Fields = dict[str, dict]


def chart_with(folder: Path, change: Callable[[Fields, Fields], None]) -> Path:
    """A copy of the chart, in which the fields of a migration's spec and status are others."""
    chart = shutil.copytree(product.CHART, folder / "chart")
    definition = yaml.safe_load((chart / CRD).read_text())
    (version,) = definition["spec"]["versions"]
    fields = version["schema"]["openAPIV3Schema"]["properties"]
    change(fields["spec"]["properties"], fields["status"]["properties"])
    (chart / CRD).write_text(yaml.safe_dump(definition))
    return chart


def without_something(spec: Fields, status: Fields) -> None:
    """What an earlier version did not have yet."""
    del spec["job"]["properties"]["annotations"]
    del status["attempts"]


def older_images(cluster: Cluster) -> tuple[str, ...]:
    """Values that name images by other tags, as those of an earlier version."""
    names = {name: f"localhost/hyper2kvm-{name}:older" for name in ("operator", "conversion")}
    for name, reference in product.images().items():
        cluster.tag_image(reference, names[name])
    return tuple(f"{name}.image.name={reference}" for name, reference in names.items())


ANNOTATED = {"annotations": {"example.com/note": "kept"}}


PATIENT = "conversion.startDeadline=600"
"""A value of the chart with which whoever meets a quota waits for longer than an upgrade takes."""


def test_an_upgrade_with_migrations_in_flight_and_a_rollback_lose_nothing(operator, project, tiny_disk, tmp_path):
    """Of the definitions, the operator and the conversion at once, with one migration in each phase."""
    project.source({"tiny.qcow2": tiny_disk})
    operator.install(*older_images(project.cluster), PATIENT, chart=chart_with(tmp_path, without_something))
    assert (operator.image, served(project)) == ("localhost/hyper2kvm-operator:older", False)
    limited(project, services="0")
    imported = {"disks": {"format": "qcow2"}}
    project.apply(migration("handed", "tiny.qcow2", target=imported))
    project.wait_phase("handed", "HandingOff")
    project.apply(migration("tiny", "tiny.qcow2"))
    with held(project, "tiny"):
        phases = {"handed": "HandingOff", "tiny": "Converting"} | stopped_by_limits(project)
        operator.install(PATIENT)
        assert (operator.image, served(project)) == (product.image("operator"), True)
        assert {name: project.phase(name) for name in phases} == phases
        project.kubectl("delete", "resourcequota", "limits")
        project.patch("held", {"suspend": False})
    for name in phases:
        project.wait_phase(name, "Succeeded")
    assert used_image(project, "tiny") == "localhost/hyper2kvm-conversion:older"
    project.apply(migration("other", "tiny.qcow2", job=ANNOTATED))
    with held(project, "other"):
        assert used_image(project, "other") == product.image("conversion")
        assert project.get("job", "other-convert")["metadata"]["annotations"]["example.com/note"] == "kept"
        operator.helm("rollback", product.RELEASE, "--wait", "--timeout=120s")
    assert (operator.image, served(project)) == ("localhost/hyper2kvm-operator:older", False)
    finished_cleanly(project, *phases, "other")
    operator.install()
    assert served(project)


def stopped_by_limits(project: Project) -> dict[str, str]:
    """Migrations that a user or a quota keeps in the phases before a conversion; their phases by name."""
    project.apply(migration("held", "tiny.qcow2", suspend=True))
    project.cluster.wait(KIND, "held", "status.progress", "suspended", namespace=project.namespace)
    limits = {"services": "0", "persistentvolumeclaims": "0"}
    limited(project, **limits)
    project.apply(migration("provisioned", "tiny.qcow2"))
    project.wait_phase("provisioned", "Provisioning")
    limited(project, **limits, **{"count/jobs.batch": "0"})
    project.apply(migration("planned", "tiny.qcow2"))
    project.wait_phase("planned", "Planning")
    return {"held": "Pending", "provisioned": "Provisioning", "planned": "Planning"}


def limited(project: Project, **hard: str) -> None:
    """Set the namespace's quota, and wait until it counts."""
    project.apply(quota(**hard))

    def missing() -> str | None:
        counted = (project.get("resourcequota", "limits") or {}).get("status", {}).get("hard")
        return None if counted == hard else f"{counted} count"

    wait_for(f"the quota of {project.namespace}", missing, deadline=60)


def served(project: Project, wanted: Fields | None = None) -> bool:
    """Whether the API server takes a migration: one with the field that the earlier version has not, by default."""
    judged = json.dumps(wanted or migration("judged", "tiny.qcow2", job=ANNOTATED))
    command = ("apply", "--server-side", "--dry-run=server", f"--namespace={project.namespace}", "--filename=-")
    return project.cluster.kubectl.run(*command, stdin=judged, check=False).code == 0


def used_image(project: Project, name: str) -> str:
    return project.pods(name, "convert")[-1]["spec"]["containers"][0]["image"]


def test_fields_of_a_newer_version_are_refused_in_a_spec_and_left_alone_in_a_status(
    operator, project, tiny_disk, tmp_path
):
    """After a rollback that keeps the newer definitions: what a user asks for is done, or told not to be."""

    def with_something(spec: Fields, status: Fields) -> None:
        for fields in (spec, status):
            fields["future"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}

    project.source({"tiny.qcow2": tiny_disk})
    operator.scale(0)  # as in a rollback: a watch that goes on tells of objects as the older definitions see them
    try:
        project.cluster.apply((chart_with(tmp_path, with_something) / CRD).read_text())
        newer = migration("newer", "tiny.qcow2", future={"better": True})
        wait_for("the newer definitions", lambda: None if served(project, newer) else "not there yet", deadline=60)
        operator.scale(1)
        project.apply(newer)
        failed(project, "newer", "UnknownField", "future")
        assert project.get(KIND, "newer")["spec"]["future"] == {"better": True}
        project.delete("newer")
        project.apply(migration("tiny", "tiny.qcow2", suspend=True))
        project.cluster.wait(KIND, "tiny", "status.progress", "suspended", namespace=project.namespace)
        told = json.dumps({"status": {"future": {"wave": 3}}})
        project.kubectl("patch", KIND, "tiny", "--subresource=status", "--type=merge", f"--patch={told}")
        project.patch("tiny", {"suspend": False})
        status = project.wait_phase("tiny", "Succeeded")
        assert status["future"] == {"wave": 3}
        finished_cleanly(project, "tiny")
    finally:
        project.cluster.apply((product.CHART / CRD).read_text())
        operator.scale(1)


def test_migrations_outlive_an_uninstallation(operator, cluster, project, tiny_disk):
    project.source({"tiny.qcow2": tiny_disk})
    project.apply(migration("tiny", "tiny.qcow2"))
    before = project.wait_phase("tiny", "Succeeded")
    operator.uninstall()
    left = cluster.kubectl("get", "all,clusterrole,clusterrolebinding", "-A", "-lapp.kubernetes.io/part-of=hyper2kvm")
    assert left == ""
    assert project.status("tiny") == before
    operator.install()
    assert project.status("tiny") == before
    finished_cleanly(project, "tiny")


def allowed(operator: Installation, verb: str, resource: str, namespace: str) -> bool:
    account = f"--as=system:serviceaccount:{product.NAMESPACE}:{product.DEPLOYMENT}"
    asked = operator.cluster.kubectl.run(
        "auth", "can-i", verb, resource, f"--namespace={namespace}", account, check=False
    )
    return asked.text.strip() == "yes"


def test_an_operator_of_some_namespaces_has_no_rights_in_others(operator, project: Project, tiny_disk, node_folder):
    """It also takes sources that are folders of its node, where the administrator allows that."""
    project.source({"tiny.qcow2": tiny_disk})
    operator.install(f"watchNamespaces={{{project.namespace}}}", "hostPathSources.enabled=true")
    volume = {"persistentVolumeClaim": None, "hostPath": {"path": str(node_folder)}}
    try:
        project.apply(migration("tiny", "tiny.qcow2", source={"files": {"volume": volume}}))
        project.wait_phase("tiny", "Succeeded")
        assert allowed(operator, "create", "jobs.batch", project.namespace)
        assert not allowed(operator, "create", "jobs.batch", "default")
        assert not allowed(operator, "list", "virtualmachinemigrations.hyper2kvm.io", "default")
        finished_cleanly(project, "tiny", kept=[f"rolebinding/{product.DEPLOYMENT}"])
    finally:
        operator.install()


def test_a_namespace_that_has_gone_with_its_rights_holds_up_no_other(operator, project, doomed, tiny_disk):
    """It is made again without the operator's RoleBinding, which is there again after Helm's next upgrade."""
    project.source({"tiny.qcow2": tiny_disk})
    settings = f"watchNamespaces={{{project.namespace},{doomed.namespace}}}"
    operator.install(settings)
    try:
        project.cluster.kubectl("delete", "namespace", doomed.namespace, "--timeout=120s", deadline=130)
        project.cluster.kubectl.make_namespace(doomed.namespace)
        operator.scale(0)
        operator.scale(1)
        assert f"the namespace {doomed.namespace} refuses the operator" in operator.log()
        project.apply(migration("tiny", "tiny.qcow2"))
        finished_cleanly(project, "tiny", kept=[f"rolebinding/{product.DEPLOYMENT}"])
        operator.install(settings)
        doomed.apply(migration("held", "tiny.qcow2", suspend=True))
        told = (KIND, "held", "status.progress", "suspended")
        project.cluster.wait(*told, namespace=doomed.namespace, deadline=180)
        doomed.delete("held")
    finally:
        operator.install()


@pytest.fixture
def doomed(cluster: Cluster) -> Iterator[Project]:
    """A namespace that the test deletes and makes again."""
    made = Project(cluster, f"gone-{uuid4().hex[:4]}")
    cluster.kubectl.make_namespace(made.namespace)
    yield made
    cluster.kubectl("delete", "namespace", made.namespace, "--wait=false", "--ignore-not-found")


@pytest.fixture
def node_folder(cluster: Cluster, tiny_disk) -> Iterator[Path]:
    """A folder of the node, which is one of the host, with a disk image in it."""
    folder = cluster.layout.folder / "exports"
    folder.mkdir(mode=0o755, exist_ok=True)
    shutil.copy(tiny_disk, folder / "tiny.qcow2")
    yield folder
    assert (folder / "tiny.qcow2").read_bytes() == tiny_disk.read_bytes()
    shutil.rmtree(folder)


def test_the_operator_may_not_read_secrets_nor_anything_by_wildcard(operator):
    for verb in ("get", "list", "watch", "update", "patch"):
        assert not allowed(operator, verb, "secrets", "default")
    for rule in granted(operator):
        assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]


UNUSED = {
    # KubeVirt is not part of this test: test_kubevirt.py uses these.
    *(("virtualmachines.kubevirt.io", verb) for verb in ("get", "list", "create")),
    *(
        (f"virtualmachine{kind}s.instancetype.kubevirt.io", "get")
        for kind in ("instancetype", "clusterinstancetype", "preference", "clusterpreference")
    ),
    # An object of a wanted name that is there already is looked at: whose is it?
    ("network-attachment-definitions.k8s.cni.cncf.io", "get"),
    *((kind, "get") for kind in ("jobs.batch", "pods", "services", "datavolumes.cdi.kubevirt.io")),
    # Owner references that block deletion need it where the admission plugin OwnerReferencesPermissionEnforcement is on.
    ("virtualmachinemigrations/finalizers.hyper2kvm.io", "update"),
}
"""Rights that the operator needs in cases that need not happen here."""


def test_the_operator_does_what_it_may_and_may_what_it_does(operator, project: Project, tiny_disk):
    """All that the operator did on this cluster since it was brought up, by the API server's audit log.

    Nothing may be denied to it from here on: before, its rights changed under it with the chart's values.
    """
    began = dt.datetime.now(dt.UTC)
    project.source({"tiny.qcow2": tiny_disk})
    cleanup = dict.fromkeys(("jobs", "workspace", "artifacts"), "OnSuccess")
    imported = {"disks": {"format": "qcow2"}}
    project.apply(
        migration("adopted", "tiny.qcow2", target={"disks": {"storageClassName": "lab-wait"}}),
        migration("imported", "tiny.qcow2", target=imported, cleanup=cleanup),
        migration("stopped", "tiny.qcow2", target=imported),
    )
    with held(project, "stopped"):
        project.patch("stopped", {"suspend": True})
        project.cluster.wait("job", "stopped-convert", "spec.suspend", "True", namespace=project.namespace)
    project.patch("stopped", {"suspend": False})
    project.cluster.wait(
        "datavolume",
        "stopped-disk0",
        "spec.source.http.secretRef",
        server_name(project.key("stopped")),
        namespace=project.namespace,
        deadline=300,
    )
    project.delete("stopped")
    finished_cleanly(project, "adopted", "imported")
    may = {right for rule in granted(operator) for right in rights(rule)}
    done, denied = operator.audited(began)
    assert denied == set()
    assert done <= may
    assert may - done - UNUSED == set()


def rights(rule: dict) -> Iterator[tuple[str, str]]:
    """Resource and verb of all that an RBAC rule allows."""
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            for verb in rule["verbs"]:
                yield (f"{resource}.{group}" if group else resource), verb


def granted(operator: Installation) -> list[dict]:
    """The rules of both of the operator's cluster roles."""
    roles = (product.DEPLOYMENT, f"{product.DEPLOYMENT}-cluster")
    return [rule for role in roles for rule in operator.cluster.get("clusterrole", role)["rules"]]
