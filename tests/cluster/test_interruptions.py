"""Everything that may stop in the middle: the operator, pods, the kubelet, the API server, and the user's own mind."""

import json
import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from lab.cluster.progress import wait_for
from lab.guests.tiny import tiny_guest
from lab.scenario.ending import finished_cleanly
from lab.scenario.images import disk_image, dull_guest
from lab.scenario.moments import copied, held, kill_in, reach, stages
from lab.scenario.mortal import live_and_die
from lab.scenario.objects import migration, quota
from lab.scenario.project import KIND, Project
from lab.scenario.storm import Storm

pytestmark = pytest.mark.cluster

MIB = 1 << 20
LARGE = 384
"""MiB of data: CONVERT takes some seconds."""

IMPORTED = {"disks": {"format": "qcow2"}}
WORKING = {"Planning", "Provisioning", "Converting", "HandingOff"}


@pytest.fixture
def source(operator, project: Project, tiny_disk) -> Project:
    """A source with which the work is soon done."""
    project.source({"tiny.qcow2": tiny_disk})
    return project


@pytest.fixture
def slow_source(operator, project: Project, bootable_disk) -> Project:
    """One with which the work is in an appliance for a while, in Inspect."""
    project.source({"tiny.qcow2": bootable_disk})
    return project


@pytest.fixture(scope="module")
def large_disk(tmp_path_factory):
    made = disk_image(tmp_path_factory.mktemp("large") / "large.qcow2", size=LARGE, data=LARGE)
    yield made
    made.unlink()


@pytest.mark.alone
def test_an_operator_that_is_killed_in_every_phase_loses_nothing(operator, source):
    """Held in Pending by the user, in Provisioning by a quota."""
    source.apply(quota(persistentvolumeclaims="1"), migration("tiny", "tiny.qcow2", suspend=True, target=IMPORTED))
    killed_in(operator, source, "Pending")
    source.patch("tiny", {"suspend": False})
    killed_in(operator, source, "Planning")
    killed_in(operator, source, "Provisioning")
    source.kubectl("delete", "resourcequota", "limits")
    killed_in(operator, source, "Converting")
    killed_in(operator, source, "HandingOff")
    operator.wait_ready()
    finished_cleanly(source, "tiny")


def killed_in(operator, project: Project, phase: str) -> None:
    """Kill the operator in a phase: nobody but it changes the phase, so it is still that one afterwards."""
    project.wait_phase("tiny", phase)
    operator.kill()
    assert project.phase("tiny") == phase


@pytest.mark.alone
def test_an_operator_that_dies_after_each_of_its_writes_still_ends(operator, source):
    settings = operator.settings()
    operator.scale(0)
    try:
        source.apply(migration("tiny", "tiny.qcow2", target=IMPORTED))
        kubeconfig = source.cluster.kubeconfig
        deaths = live_and_die(kubeconfig, settings, source.namespace, "tiny", deadline=400)
    finally:
        operator.scale(1)
    assert len(deaths) > 15, sorted(deaths)
    assert {*WORKING, "Succeeded"} <= {death.split()[-1] for death in deaths}
    finished_cleanly(source, "tiny")


@pytest.mark.alone
def test_an_operator_that_hangs_is_started_anew_by_the_kubelet(operator, source):
    hung = operator.process()
    source.apply(migration("tiny", "tiny.qcow2"))
    with held(source, "tiny"):
        os.kill(hung, signal.SIGSTOP)
    wait_for("the end of the process that hangs", lambda: str(hung) if alive(hung) else None, deadline=180)
    operator.wait_ready()
    assert operator.process() != hung
    finished_cleanly(source, "tiny")


def alive(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


@pytest.mark.alone
def test_an_operator_that_was_away_catches_up(operator, source):
    source.apply(migration("tiny", "tiny.qcow2"))
    with held(source, "tiny"):
        operator.scale(0)
    source.kubectl("wait", "--for=condition=Complete", "job/tiny-convert", "--timeout=180s", deadline=190)
    source.apply(migration("late", "nowhere.qcow2"))
    operator.scale(1)
    assert source.wait_end("late")["failure"]["reason"] == "SourceNotFound"
    source.delete("late")
    finished_cleanly(source, "tiny")


@pytest.mark.alone
def test_a_migration_that_is_deleted_while_the_operator_is_away_goes_when_it_is_back(operator, source):
    source.apply(migration("tiny", "tiny.qcow2"))
    with held(source, "tiny"):
        operator.scale(0)
        source.kubectl("delete", KIND, "tiny", "--wait=false")
        assert source.phase("tiny") == "Converting"
    operator.scale(1)
    source.cluster.wait_gone(KIND, "tiny", namespace=source.namespace)
    assert source.leftovers() == []
    assert source.source_is_unchanged()


def test_a_pod_that_is_killed_while_it_verifies_the_source_is_followed_by_one_that_begins_anew(
    operator, project, tmp_path
):
    """Fetch reads all of an OVA with a manifest."""
    project.source({"large.ova": dull_guest(tmp_path / "guest", data=256).ova}, size="512Mi")
    project.apply(migration("large", "large.ova"))
    killed = kill_in(project, "large", "Fetch")
    project.wait_phase("large", "Succeeded")
    (pod,) = (pod["metadata"]["name"] for pod in project.pods("large", "convert"))
    assert pod != killed
    assert "Fetch" in stages(project, pod, "StageFinished")
    assert "Fetch" not in stages(project, pod, "StageSkipped")
    finished_cleanly(project, "large")


def test_a_pod_that_is_killed_while_it_copies_is_followed_by_one_that_goes_on_in_the_middle(
    operator, project, large_disk
):
    project.source({"large.qcow2": large_disk}, size="512Mi")
    project.apply(migration("large", "large.qcow2"))
    kill_in(project, "large", "Convert", moment=copied(64 * MIB))
    project.wait_phase("large", "Succeeded")
    assert {"Fetch", "Flatten", "Inspect", "Fix"} <= skipped(project, "large")
    assert copied_again(project, "large") < LARGE - 32
    finished_cleanly(project, "large")


def copied_again(project: Project, name: str) -> int:
    """MiB that the last pod copied, of all that there were to copy."""
    document = json.loads(project.image(f"{name}-workspace", "convert.json").read_text())["document"]
    (disk,) = document["disks"]
    assert disk["data"] == LARGE * MIB
    return disk["copiedNow"] // MIB


def test_a_pod_that_is_killed_while_it_repairs_the_guest_is_followed_by_one_that_begins_afresh(
    operator, kubevirt_cluster, project, tmp_path
):
    project.source({"tiny.ova": tiny_guest(tmp_path / "guest").ova})
    target = {**IMPORTED, "virtualMachine": {"create": True, "name": "web01", "networks": [{"ignore": {}}]}}
    project.apply(migration("tiny", "tiny.ova", guest={"whenUnsupported": "Fail"}, target=target))
    kill_in(project, "tiny", "Fix")
    status = project.wait_phase("tiny", "Succeeded")
    assert {"Fetch", "Flatten", "Inspect"} <= skipped(project, "tiny")
    assert "Fix" not in skipped(project, "tiny")
    assert "/etc/fstab" in project.get("configmap", status["report"])["data"]["report.json"]
    finished_cleanly(project, "tiny", kept=["virtualmachine/web01"])


def test_an_evicted_pod_goes_on_where_it_stopped(operator, project, large_disk):
    project.source({"large.qcow2": large_disk}, size="512Mi")
    project.apply(migration("large", "large.qcow2"))
    with held(project, "large", copied(64 * MIB)) as pod:
        is_shown_half_done(project, "large")
        project.cluster.evict(pod, project.namespace)
    project.wait_phase("large", "Succeeded")
    assert pod not in [pod["metadata"]["name"] for pod in project.pods("large", "convert")]
    assert copied_again(project, "large") < LARGE - 32
    assert finished_cleanly(project, "large")["attempts"] == 1


def is_shown_half_done(project: Project, name: str) -> None:
    """The stage and how much of the disk is copied are in the status and on the screen of `kubectl get`."""

    def missing() -> str | None:
        copied = [disk.get("copied", 0) // MIB for disk in project.status(name).get("disks", [])]
        return None if copied and copied[0] >= 64 else f"{copied} MiB copied"

    wait_for(f"the progress of {name}", missing, deadline=30)
    status = project.status(name)
    assert status["stage"] == "Convert"
    assert 0 < status["percent"] < 100
    assert status["disks"][0]["copied"] < status["disks"][0]["capacity"]
    row = project.kubectl("get", KIND, name, "--no-headers").split()
    assert row[:4] == [name, "Converting", "Convert", str(project.status(name)["percent"])]


def skipped(project: Project, name: str) -> set[str]:
    """The stages that the newest convert pod had not to do again."""
    return set(stages(project, project.pods(name, "convert")[-1]["metadata"]["name"], "StageSkipped"))


@pytest.mark.alone
def test_a_kubelet_that_is_restarted_does_not_stop_a_conversion(operator, source):
    source.apply(migration("tiny", "tiny.qcow2"))
    with held(source, "tiny") as pod:
        source.cluster.restart_kubelet()
    source.wait_phase("tiny", "Succeeded")
    assert [one["metadata"]["name"] for one in source.pods("tiny", "convert")] == [pod]
    assert finished_cleanly(source, "tiny")["attempts"] == 1


@pytest.mark.alone
def test_an_api_server_that_is_away_for_30_seconds_is_waited_for(operator, source):
    """It hangs, and later its port is closed."""
    source.apply(migration("tiny", "tiny.qcow2"))
    before = operator.process()
    with held(source, "tiny"):
        source.cluster.pause_apiserver(30)
    source.cluster.stop_apiserver(8)
    finished_cleanly(source, "tiny")
    assert operator.process() == before


def test_a_storm_of_changes_by_others_is_survived(operator, source):
    """Of the migration, its status, its finalizer, its Jobs and claims, at the same time and many times a second."""
    source.apply(migration("tiny", "tiny.qcow2", target=IMPORTED))
    with Storm(source, "tiny") as storm:
        source.wait_phase("tiny", "Succeeded")
    assert storm.changes["status"] > 100
    assert all(storm.changes[kind] > 10 for kind in ("annotations", "finalizers", "job", "claim"))
    assert storm.refusals == []
    assert finished_cleanly(source, "tiny")["attempts"] == 1


def test_a_migration_that_is_applied_again_while_it_works_goes_on(operator, source):
    wanted = migration("tiny", "tiny.qcow2")
    source.apply(wanted)
    source.wait_phase("tiny", "Planning")
    source.apply(wanted)
    with held(source, "tiny") as pod:
        source.apply(wanted, wanted)
    source.wait_phase("tiny", "Succeeded")
    assert [one["metadata"]["name"] for one in source.pods("tiny", "convert")] == [pod]
    told = Counter(reason for reason, _ in source.wait_event("tiny", "Succeeded"))
    assert {told[reason] for reason in ("Planning", "Planned", "Converted", "Succeeded")} == {1}
    assert finished_cleanly(source, "tiny")["attempts"] == 1


def test_a_suspended_migration_holds_no_pod_and_goes_on_when_it_is_resumed(slow_source):
    slow_source.apply(migration("tiny", "tiny.qcow2"))
    reach(slow_source, "tiny", "Inspect")
    slow_source.patch("tiny", {"suspend": True})
    slow_source.cluster.wait(KIND, "tiny", "status.progress", "suspended", namespace=slow_source.namespace)
    wait_for_no_pod(slow_source)
    assert slow_source.get("job", "tiny-convert")["spec"]["suspend"] is True
    slow_source.patch("tiny", {"suspend": False})
    slow_source.wait_phase("tiny", "Succeeded")
    assert {"Fetch", "Flatten"} <= skipped(slow_source, "tiny")
    finished_cleanly(slow_source, "tiny")


def wait_for_no_pod(project: Project) -> None:
    project.kubectl("wait", "--for=delete", "pod", "--selector=hyper2kvm.io/role=convert", "--timeout=90s", deadline=95)


def test_a_cancelled_migration_leaves_nothing_and_may_start_again(slow_source):
    slow_source.apply(migration("tiny", "tiny.qcow2"))
    reach(slow_source, "tiny", "Inspect")
    slow_source.patch("tiny", {"cancel": True})
    slow_source.wait_phase("tiny", "Cancelled")
    documents = {f"configmap/tiny-{one}" for one in ("request", "plan", "report")}
    assert slow_source.leftovers({f"{KIND}/tiny", *documents}) == []
    assert slow_source.source_is_unchanged()
    slow_source.patch("tiny", {"cancel": False})
    finished_cleanly(slow_source, "tiny")


HINDERED = {"Provisioning": {"persistentvolumeclaims": "1"}, "HandingOff": {"services": "0"}}
"""Phase → the quota that keeps a migration in it; the claim of the sources counts."""

LIMITS = "resourcequota/limits"


def brought_to(project: Project, phase: str) -> None:
    """Apply a migration, and wait until it is in a phase."""
    project.apply(quota(**HINDERED.get(phase, {"pods": "9"})))
    project.apply(migration("tiny", "tiny.qcow2", target=IMPORTED, suspend=phase == "Pending"))
    project.wait_phase("tiny", phase)


@pytest.mark.parametrize("phase", ["Pending", *sorted(WORKING)])
def test_a_migration_that_is_deleted_in_the_middle_leaves_nothing(operator, source, phase):
    brought_to(source, phase)
    source.delete("tiny")
    assert source.leftovers([LIMITS]) == []
    assert source.source_is_unchanged()


@pytest.mark.parametrize("phase", ["Pending", *sorted(WORKING - {"Converting"})])
def test_a_migration_that_is_cancelled_before_or_after_its_conversion_leaves_nothing(operator, source, phase):
    brought_to(source, phase)
    source.patch("tiny", {"cancel": True})
    source.wait_phase("tiny", "Cancelled")
    documents = {f"configmap/tiny-{one}" for one in ("request", "plan", "report")}
    assert source.leftovers({f"{KIND}/tiny", LIMITS, *documents}) == []
    assert source.source_is_unchanged()


def test_a_namespace_that_is_deleted_in_the_middle_goes(operator, source):
    source.apply(migration("tiny", "tiny.qcow2"))
    with held(source, "tiny"):
        volumes = namespace_deleted(source)
        assert len(volumes) == 3
    everything_goes(source, volumes)


def test_a_namespace_that_is_deleted_while_disks_are_handed_off_goes(operator, source):
    source.apply(quota(services="0"), migration("tiny", "tiny.qcow2", target=IMPORTED))
    source.wait_phase("tiny", "HandingOff")
    everything_goes(source, namespace_deleted(source))


def namespace_deleted(project: Project) -> list[str]:
    """Delete a namespace, and wait for nothing; the volumes of its claims."""
    assert project.source_is_unchanged()
    volumes = [claim["spec"]["volumeName"] for claim in project.items("persistentvolumeclaim")]
    project.cluster.kubectl("delete", "namespace", project.namespace, "--wait=false")
    return volumes


def everything_goes(project: Project, volumes: list[str]) -> None:
    """A namespace goes, and with it the volumes of its claims."""
    project.cluster.wait_gone("namespace", project.namespace, deadline=150)
    for volume in volumes:
        project.cluster.wait_gone("persistentvolume", volume, deadline=60)


def test_two_migrations_of_one_source_do_not_meet(operator, source):
    source.apply(migration("one", "tiny.qcow2"), migration("two", "tiny.qcow2"))
    finished_cleanly(source, "one", "two")


@pytest.mark.alone
def test_no_more_migrations_work_at_once_than_are_allowed(operator, source):
    """Nor when the operator is killed while the others wait."""
    operator.install("maxConcurrent=3")
    names = [f"vm{number:02}" for number in range(20)]
    try:
        source.apply(*(migration(name, "tiny.qcow2") for name in names))
        most, killed, seen = 0, False, Counter[str]()
        while seen["Succeeded"] + seen["Failed"] < len(names):
            seen = Counter(phases(source))
            most = max(most, sum(seen[phase] for phase in WORKING))
            if not killed and seen["Succeeded"] >= 2:
                assert seen["Pending"] > 3
                operator.kill()
                killed = True
            time.sleep(0.3)
    finally:
        operator.install()
    assert (most, killed) == (3, True)
    finished_cleanly(source, *names)


def phases(project: Project) -> list[str]:
    return [one.get("status", {}).get("phase", "Pending") for one in project.items(KIND)]
