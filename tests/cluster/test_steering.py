"""What a user does meanwhile, in whatever order: applies things late, twice or together, edits, and has things of his own."""

import pytest

from lab.scenario.ending import failed, failed_cleanly, finished_cleanly
from lab.scenario.moments import held
from lab.scenario.objects import Json, migration
from lab.scenario.project import Project

pytestmark = pytest.mark.cluster


def profile(name: str, **spec: Json) -> Json:
    return {
        "apiVersion": "hyper2kvm.io/v1alpha1",
        "kind": "MigrationProfile",
        "metadata": {"name": name},
        "spec": spec,
    }


def machine(name: str) -> Json:
    """A virtual machine that somebody else makes."""
    devices = {"disks": [], "interfaces": []}
    domain = {"devices": {**devices, "autoattachPodInterface": False}, "memory": {"guest": "64Mi"}}
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": name},
        "spec": {"runStrategy": "Halted", "template": {"spec": {"domain": domain}}},
    }


def created(name: str) -> Json:
    return {"virtualMachine": {"create": True, "name": name, "networks": [{"pod": {}}]}}


def test_a_profile_that_is_applied_later_is_waited_for(operator, project, tiny_disk):
    project.source({"tiny.qcow2": tiny_disk})
    project.apply(migration("tiny", "tiny.qcow2", profiles=["fast"]))
    project.wait_reason("tiny", "ProfileNotFound")
    assert project.phase("tiny") == "Pending"
    project.apply(profile("fast", target={"disks": {"bus": "sata"}}))
    status = project.wait_phase("tiny", "Succeeded")
    assert "bus: sata" in status["effectiveSpec"]
    finished_cleanly(project, "tiny", kept=["migrationprofile/fast"])


def test_an_edit_while_the_source_is_described_counts(operator, project, tiny_disk):
    project.source({"tiny.qcow2": tiny_disk})
    project.apply(migration("tiny", "tiny.qcow2"))
    project.wait_phase("tiny", "Planning")
    project.patch("tiny", {"target": {"disks": {"bus": "sata"}}})
    status = project.wait_phase("tiny", "Succeeded")
    assert "bus: sata" in status["effectiveSpec"]
    project.wait_event("tiny", "Edited")
    finished_cleanly(project, "tiny")


def test_an_edit_of_a_failed_migration_gets_volumes_that_fit_it(operator, project, tiny_disk):
    project.source({"tiny.qcow2": tiny_disk})
    options = {"guest": {"whenUnsupported": "Fail"}, "target": {"disks": {"storageClassName": "lab-immediate"}}}
    project.apply(migration("tiny", "tiny.qcow2", **options))
    failed(project, "tiny", "NoOperatingSystem")
    project.patch("tiny", {"guest": {"whenUnsupported": "Copy"}, "target": {"disks": {"storageClassName": "lab-wait"}}})
    project.wait_phase("tiny", "Succeeded")
    assert project.get("persistentvolumeclaim", "tiny-disk0")["spec"]["storageClassName"] == "lab-wait"
    finished_cleanly(project, "tiny")


def test_of_two_that_are_applied_together_one_gets_the_machine(operator, kubevirt_cluster, project, machine_ova):
    project.source({"tiny.ova": machine_ova})
    project.apply(*(migration(name, "tiny.ova", target=created("web01")) for name in ("one", "two")))
    ended = {name: project.wait_end(name)["phase"] for name in ("one", "two")}
    assert sorted(ended.values()) == ["Failed", "Succeeded"]
    (loser,) = (name for name, phase in ended.items() if phase == "Failed")
    (winner,) = set(ended) - {loser}
    failed(project, loser, "VirtualMachineExists", "web01")
    project.delete(loser)
    finished_cleanly(project, winner, kept=["virtualmachine/web01"])


def test_disks_that_were_handed_off_outlive_a_failure_and_an_edit_finishes_the_handoff(
    operator, kubevirt_cluster, project, machine_ova
):
    """Somebody takes the machine's name while the disks are copied."""
    project.source({"tiny.ova": machine_ova})
    project.apply(migration("tiny", "tiny.ova", target=created("web01")))
    with held(project, "tiny"):
        project.apply(machine("web01"))
    failed(project, "tiny", "VirtualMachineExists", "web01")
    pods = project.pods("tiny", "convert")
    claims = {one["metadata"]["name"]: one["metadata"]["uid"] for one in project.items("persistentvolumeclaim")}
    project.patch("tiny", {"target": {"virtualMachine": {"name": "web02"}}})
    project.wait_phase("tiny", "Succeeded")
    assert [one["metadata"]["uid"] for one in project.pods("tiny", "convert")] == [
        one["metadata"]["uid"] for one in pods
    ]
    assert {one["metadata"]["name"]: one["metadata"]["uid"] for one in project.items("persistentvolumeclaim")} == claims
    finished_cleanly(project, "tiny", kept=["virtualmachine/web01", "virtualmachine/web02"])


def test_disks_that_were_handed_off_outlive_a_cancellation(operator, kubevirt_cluster, project, machine_ova):
    project.source({"tiny.ova": machine_ova})
    project.apply(migration("tiny", "tiny.ova", target=created("web01")))
    with held(project, "tiny"):
        project.apply(machine("web01"))
    failed(project, "tiny", "VirtualMachineExists")
    project.patch("tiny", {"cancel": True})
    project.wait_phase("tiny", "Cancelled")
    disks = [f"{kind}/tiny-disk{n}" for kind in ("persistentvolumeclaim", "datavolume") for n in (0, 1)]
    project.delete("tiny")
    assert project.leftovers([*disks, "virtualmachine/web01"]) == []
    assert {one["status"]["phase"] for one in project.items("datavolume")} == {"Succeeded"}
    assert project.source_is_unchanged()


def test_what_somebody_else_has_is_told_and_left_alone(operator, project: Project, tiny_disk):
    project.source({"tiny.qcow2": tiny_disk})
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tiny-plan"}, "data": {"theirs": "yes"}}
    project.apply(theirs, migration("tiny", "tiny.qcow2"))
    failed_cleanly(project, "tiny", "RequestRefused", "ConfigMap tiny-plan", kept=["configmap/tiny-plan"])
    found = project.get("configmap", "tiny-plan")
    assert found["data"] == {"theirs": "yes"}
    assert "ownerReferences" not in found["metadata"]


@pytest.mark.alone
def test_an_operator_that_starts_knows_everything_before_it_decides(operator, project, tiny_disk):
    """Profiles come by another watch than the migrations that name them."""
    project.source({"tiny.qcow2": tiny_disk})
    names = [f"tiny{number}" for number in range(6)]
    operator.scale(0)
    try:
        project.apply(*(migration(name, "tiny.qcow2", profiles=["fast"]) for name in names))
        project.apply(profile("fast", target={"disks": {"bus": "sata"}}))
    finally:
        operator.scale(1)
    finished_cleanly(project, *names, kept=["migrationprofile/fast"])
