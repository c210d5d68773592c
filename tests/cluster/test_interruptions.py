"""Everything that may stop in the middle: the operator, pods, the kubelet, the API server, and the user's own mind."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hyper2kvm.run import run
from hyper2kvm_api.errors import HostError
from lab.guests.tiny import tiny_guest
from lab.scenario.fixtures import disk_image
from lab.scenario.mortal import live_and_die
from lab.scenario.project import KIND, Project, migration

pytestmark = pytest.mark.cluster

MIB = 1 << 20
LARGE = 768
"""MiB of data: CONVERT takes some seconds."""


@pytest.fixture
def source(operator, project: Project, bootable_disk, tiny_disk) -> Project:
    """Two sources: with one the work stops for a while in Inspect, with the other it is soon done."""
    project.source({"tiny.qcow2": bootable_disk, "data.qcow2": tiny_disk})
    return project


@pytest.fixture(scope="module")
def large_disk(tmp_path_factory):
    return disk_image(tmp_path_factory.mktemp("large") / "large.qcow2", size=LARGE, data=LARGE)


def finished_cleanly(project: Project, name: str = "tiny", deadline: float = 400) -> dict:
    """The status of a migration that succeeded, whose source is as before and of which nothing is left after it."""
    status = project.wait_phase(name, "Succeeded", deadline=deadline)
    project.delete(name)
    claims = [disk["claimName"] for disk in status["disks"]]
    assert claims
    kept = [f"{kind}/{claim}" for kind in ("persistentvolumeclaim", "datavolume") for claim in claims]
    assert project.leftovers(kept) == []
    for claim in claims:
        assert project.get("datavolume", claim)["status"]["phase"] == "Succeeded"
        assert project.get("persistentvolumeclaim", claim)["status"]["phase"] == "Bound"
    assert project.source_is_unchanged()
    return status


@pytest.mark.alone
def test_an_operator_that_is_killed_in_every_phase_loses_nothing(operator, source):
    source.apply(migration("tiny", "tiny.qcow2", target={"disks": {"format": "qcow2"}}))
    for phase in ("Planning", "Converting", "HandingOff"):
        source.wait_phase("tiny", phase, "Succeeded")
        operator.kill()
    operator.wait_ready()
    finished_cleanly(source)


@pytest.mark.alone
def test_an_operator_that_dies_after_each_of_its_writes_still_ends(operator, source):
    settings = operator.settings()
    operator.scale(0)
    try:
        source.apply(migration("tiny", "data.qcow2", target={"disks": {"format": "qcow2"}}))
        kubeconfig = source.cluster.kubeconfig
        deaths = live_and_die(kubeconfig, settings, source.namespace, "tiny", deadline=400)
    finally:
        operator.scale(1)
    assert len(deaths) > 20, sorted(deaths)
    finished_cleanly(source)


@pytest.mark.alone
def test_an_operator_that_was_away_catches_up(operator, source):
    source.apply(migration("tiny", "tiny.qcow2"))
    source.wait_stage("tiny", "Inspect")
    operator.scale(0)
    source.kubectl("wait", "--for=condition=Complete", "job/tiny-convert", "--timeout=180s", deadline=190)
    source.apply(migration("late", "nowhere.qcow2"))
    operator.scale(1)
    assert source.wait_end("late")["failure"]["reason"] == "SourceNotFound"
    source.delete("late")
    finished_cleanly(source)


@pytest.mark.alone
def test_a_migration_that_is_deleted_while_the_operator_is_away_goes_when_it_is_back(operator, source):
    source.apply(migration("tiny", "tiny.qcow2"))
    source.wait_stage("tiny", "Inspect")
    operator.scale(0)
    source.kubectl("delete", KIND, "tiny", "--wait=false")
    operator.scale(1)
    source.cluster.wait_gone(KIND, "tiny", namespace=source.namespace)
    assert source.leftovers() == []


@pytest.mark.parametrize(("stage", "kept"), [("Fetch", set()), ("Convert", {"Fetch", "Flatten", "Inspect", "Fix"})])
def test_a_convert_pod_that_is_killed_is_followed_by_one_that_goes_on(operator, project, large_disk, stage, kept):
    project.source({"large.qcow2": large_disk}, size="1Gi")
    project.apply(migration("large", "large.qcow2"))
    kill_in(project, "large", stage)
    status = project.wait_phase("large", "Succeeded")
    assert kept <= skipped(project, "large")
    assert len(status["disks"]) == 1
    assert same_content(project, "large", large_disk)
    finished_cleanly(project, "large")


def test_a_pod_that_is_killed_while_it_repairs_the_guest_is_followed_by_one_that_begins_afresh(
    operator, project, tmp_path
):
    project.source({"tiny.ova": tiny_guest(tmp_path / "guest").ova})
    project.apply(migration("tiny", "tiny.ova", guest={"whenUnsupported": "Fail"}))
    kill_in(project, "tiny", "Fix")
    status = project.wait_phase("tiny", "Succeeded")
    assert {"Fetch", "Flatten", "Inspect"} <= skipped(project, "tiny")
    assert "/etc/fstab" in project.get("configmap", status["report"])["data"]["report.json"]
    finished_cleanly(project)


def kill_in(project: Project, name: str, stage: str) -> None:
    """Delete the convert pod without a warning, once it is in a stage."""
    pod = project.wait_stage(name, stage)
    project.kubectl("delete", "pod", pod, "--grace-period=0", "--force")


def test_an_evicted_pod_goes_on_where_it_stopped(operator, project, large_disk):
    project.source({"large.qcow2": large_disk}, size="1Gi")
    project.apply(migration("large", "large.qcow2"))
    pod = project.wait_stage("large", "Convert")
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
    path = f"/api/v1/namespaces/{project.namespace}/pods/{pod}/eviction"
    project.cluster.kubectl("create", "--raw", path, "--filename=-", stdin=json.dumps(eviction))
    status = project.wait_phase("large", "Succeeded")
    assert status["attempts"] == 1
    assert same_content(project, "large", large_disk)


def skipped(project: Project, name: str) -> set[str]:
    """The stages that the newest convert pod had not to do again."""
    told = project.kubectl("logs", project.pods(name, "convert")[-1]["metadata"]["name"])
    events = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    return {event["stage"] for event in events if event["type"] == "StageSkipped"}


def same_content(project: Project, name: str, disk) -> bool:
    """Whether the migrated disk holds what the source's does."""
    target = project.image(f"{name}-disk0")
    compared = run(["qemu-img", "compare", "-f", "qcow2", "-F", "raw", str(disk), str(target)], deadline=120)
    return "identical" in compared.text


@pytest.mark.alone
def test_a_kubelet_that_is_restarted_does_not_stop_a_conversion(operator, source):
    source.apply(migration("tiny", "tiny.qcow2"))
    pod = source.wait_stage("tiny", "Inspect")
    source.cluster.restart_kubelet()
    status = finished_cleanly(source)
    assert status["attempts"] == 1
    assert pod


@pytest.mark.alone
def test_an_api_server_that_is_away_for_30_seconds_is_waited_for(operator, source):
    source.apply(migration("tiny", "tiny.qcow2"))
    source.wait_stage("tiny", "Inspect")
    before = operator.process()
    source.cluster.pause_apiserver(30)
    finished_cleanly(source)
    assert operator.process() == before


@contextmanager
def restless(project: Project, name: str) -> Iterator[list[str]]:
    """Somebody who annotates a migration all the time; the errors that this met."""
    stop, errors = threading.Event(), []

    def annotate() -> None:
        count = 0
        while not stop.wait(0.05):
            count += 1
            try:
                project.kubectl("annotate", KIND, name, f"example.com/count={count}", "--overwrite")
            except HostError as error:
                errors.append(error.message)

    thread = threading.Thread(target=annotate)
    thread.start()
    try:
        yield errors
    finally:
        stop.set()
        thread.join()


def test_a_storm_of_changes_by_others_is_survived(operator, source):
    source.apply(migration("tiny", "tiny.qcow2"))
    with restless(source, "tiny") as errors:
        source.wait_phase("tiny", "Succeeded")
    assert errors == []
    finished_cleanly(source)


def test_a_suspended_migration_holds_no_pod_and_goes_on_when_it_is_resumed(operator, source):
    source.apply(migration("tiny", "tiny.qcow2"))
    source.wait_stage("tiny", "Inspect")
    source.patch("tiny", {"suspend": True})
    source.cluster.wait(KIND, "tiny", "status.progress", "suspended", namespace=source.namespace)
    wait_for_no_pod(source)
    assert source.get("job", "tiny-convert")["spec"]["suspend"] is True
    source.patch("tiny", {"suspend": False})
    finished_cleanly(source)


def wait_for_no_pod(project: Project) -> None:
    project.kubectl("wait", "--for=delete", "pod", "--selector=hyper2kvm.io/role=convert", "--timeout=90s", deadline=95)


def test_a_cancelled_migration_leaves_nothing_and_may_start_again(operator, source):
    source.apply(migration("tiny", "tiny.qcow2"))
    source.wait_stage("tiny", "Inspect")
    source.patch("tiny", {"cancel": True})
    source.wait_phase("tiny", "Cancelled")
    wait_for_no_pod(source)
    documents = {f"configmap/tiny-{one}" for one in ("request", "plan", "report")}
    assert source.leftovers(documents) == []
    assert source.source_is_unchanged()
    source.patch("tiny", {"cancel": False})
    finished_cleanly(source)


@pytest.mark.parametrize("phase", ["Pending", "Planning", "Converting", "HandingOff"])
def test_a_migration_that_is_deleted_in_the_middle_leaves_nothing(operator, source, phase):
    source.apply(migration("tiny", "data.qcow2", target={"disks": {"format": "qcow2"}}))
    if phase != "Pending":
        source.wait_phase("tiny", phase)
    source.delete("tiny")
    assert source.leftovers() == []
    assert source.source_is_unchanged()


def test_a_namespace_that_is_deleted_in_the_middle_goes(operator, source):
    source.apply(migration("tiny", "tiny.qcow2"))
    source.wait_stage("tiny", "Inspect")
    source.cluster.kubectl("delete", "namespace", source.namespace, "--timeout=150s", deadline=160)


def test_two_migrations_of_one_source_do_not_meet(operator, source):
    source.apply(migration("one", "data.qcow2"), migration("two", "data.qcow2"))
    for name in ("one", "two"):
        source.wait_phase(name, "Succeeded")
    digests = {hashlib.sha256(source.image(f"{name}-disk0").read_bytes()).hexdigest() for name in ("one", "two")}
    assert len(digests) == 1
    assert source.source_is_unchanged()


@pytest.mark.alone
def test_no_more_migrations_work_at_once_than_are_allowed(operator, source):
    operator.install("maxConcurrent=3")
    names = [f"vm{number:02}" for number in range(20)]
    try:
        source.apply(*(migration(name, "data.qcow2") for name in names))
        most = 0
        while len(phases := states(source)) < len(names) or set(phases) - {"Succeeded", "Failed"}:
            most = max(most, sum(phase in {"Planning", "Provisioning", "Converting", "HandingOff"} for phase in phases))
            time.sleep(0.3)
    finally:
        operator.install()
    assert most == 3
    assert set(phases) == {"Succeeded"}
    source.kubectl("delete", KIND, "--all", "--timeout=120s", deadline=130)
    kept = [f"{kind}/{name}-disk0" for kind in ("persistentvolumeclaim", "datavolume") for name in names]
    assert source.leftovers(kept) == []
    assert source.source_is_unchanged()


def states(project: Project) -> list[str]:
    return [one.get("status", {}).get("phase", "Pending") for one in project.items(KIND)]
