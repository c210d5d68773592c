"""What stands in a migration's way for a while, and what becomes of it when that is gone, or stays."""

import pytest

from hyper2kvm.run import run
from lab.guests.tiny import tiny_guest
from lab.scenario.fixtures import disk_image
from lab.scenario.project import Project, migration

pytestmark = pytest.mark.cluster

MIB = 1 << 20


def test_an_edit_starts_a_failed_migration_again(operator, project, tiny_disk):
    project.source({"tiny.qcow2": tiny_disk})
    project.apply(migration("tiny", "tiny.ova"))
    assert project.wait_end("tiny")["failure"]["reason"] == "SourceNotFound"
    project.patch("tiny", {"source": {"files": {"path": "tiny.qcow2"}}})
    assert "failure" not in project.wait_phase("tiny", "Succeeded")


def test_a_target_volume_without_room_is_named_and_goes_on_when_there_is_some(operator, project, tmp_path):
    """Somebody else's file takes the room of the claim, which is as large as the disk needs."""
    image = disk_image(tmp_path / "web01.qcow2", size=256, data=256)
    project.source({"web01.qcow2": image}, size="512Mi")
    project.apply(
        migration("web01", "web01.qcow2", target={"disks": {"storageClassName": "lab-immediate"}}, job={"retries": 0})
    )
    project.cluster.wait("persistentvolumeclaim", "web01-disk0", "status.phase", "Bound", namespace=project.namespace)
    other = project.image("web01-disk0", "somebody-elses")
    other.write_bytes(bytes(200 * MIB))
    failure = project.wait_end("web01")["failure"]
    assert (failure["reason"], failure["stage"]) == ("TargetFull", "Convert"), failure
    other.unlink()
    project.patch("web01", {"job": {"retries": 1}})
    project.wait_phase("web01", "Succeeded")
    target = project.image("web01-disk0")
    run(["qemu-img", "compare", "-f", "qcow2", "-F", "raw", str(image), str(target)], deadline=120)
    assert project.source_is_unchanged()


def test_a_target_that_somebody_else_has_or_will_have_is_found_in_planning(
    operator, kubevirt_cluster, project, tmp_path
):
    """By name, of a machine that is there or that another migration is about to create; and by MAC address."""

    def wanted(name: str, machine: str) -> dict:
        networks = [{"source": "VM Network", "pod": {}}]
        target = {"virtualMachine": {"create": True, "name": machine, "networks": networks}}
        return migration(name, "tiny.ova", target=target)

    project.source({"tiny.ova": tiny_guest(tmp_path / "guest").ova})
    project.apply(wanted("first", "web01"))
    project.wait_phase("first", "Converting")
    project.apply(wanted("meanwhile", "web01"))
    refused(project, "meanwhile", "VirtualMachineExists", "the migration first")
    project.wait_phase("first", "Succeeded")
    project.apply(wanted("afterwards", "web01"), wanted("twin", "web02"))
    refused(project, "afterwards", "VirtualMachineExists", "web01")
    refused(project, "twin", "MacAddressInUse", "00:50:56:9a:30:01")
    project.kubectl("delete", "vmig", "--all", "--timeout=120s", deadline=130)
    disks = [f"{kind}/first-disk{n}" for kind in ("persistentvolumeclaim", "datavolume") for n in (0, 1)]
    assert project.leftovers(disks) == []
    assert project.cluster.names("virtualmachine", project.namespace) == ["web01"]


def refused(project: Project, name: str, reason: str, words: str) -> None:
    """A migration has ended in planning: it has no claims."""
    failure = project.wait_end(name)["failure"]
    assert failure["reason"] == reason, failure
    assert words in failure["message"]
    made = project.leftovers(of=name, patience=0)
    assert [one for one in made if one.startswith("persistentvolumeclaim/")] == []


def quota(**hard: str) -> dict:
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "limits"}, "spec": {"hard": hard}}


def test_a_quota_that_stays_fails_the_migration(operator, project, tiny_disk):
    project.source({"tiny.qcow2": tiny_disk})
    project.apply(quota(**{"requests.storage": "300Mi"}), migration("tiny", "tiny.qcow2"))
    told = project.wait_reason("tiny", "QuotaExceeded")
    assert "exceeded quota" in told["message"]
    status = project.wait_end("tiny")
    assert (status["phase"], status["failure"]["reason"]) == ("Failed", "QuotaExceeded")
    project.delete("tiny")
    assert project.leftovers() == []


def test_a_quota_that_is_lifted_lets_the_migration_go_on(operator, project, tiny_disk):
    project.source({"tiny.qcow2": tiny_disk})
    project.apply(quota(pods="0"), migration("tiny", "tiny.qcow2"))
    assert "exceeded quota" in project.wait_reason("tiny", "QuotaExceeded")["message"]
    project.kubectl("delete", "resourcequota", "limits")
    project.wait_phase("tiny", "Succeeded")


def restrict(project: Project) -> None:
    project.cluster.kubectl("label", "namespace", project.namespace, "pod-security.kubernetes.io/enforce=restricted")


def test_a_restricted_namespace_takes_what_needs_no_privilege(operator, project, tiny_disk):
    restrict(project)
    project.source({"tiny.qcow2": tiny_disk})
    project.apply(migration("tiny", "tiny.qcow2", target={"disks": {"format": "qcow2"}}))
    project.wait_phase("tiny", "Succeeded")


def test_a_restricted_namespace_names_the_label_that_privilege_needs(operator, project, tiny_disk):
    restrict(project)
    project.source({"tiny.qcow2": tiny_disk})
    project.apply(migration("tiny", "tiny.qcow2", job={"kvm": "Privileged"}))
    failure = project.wait_end("tiny")["failure"]
    assert failure["reason"] == "PodSecurityForbidden"
    assert "pod-security.kubernetes.io/enforce" in failure["hint"]
    project.delete("tiny")
    assert project.leftovers() == []


@pytest.mark.alone
def test_a_wrong_image_is_named(operator, project, tiny_disk):
    project.source({"tiny.qcow2": tiny_disk})
    operator.install("conversion.image.name=localhost/hyper2kvm-conversion:none")
    try:
        project.apply(migration("tiny", "tiny.qcow2"))
        failure = project.wait_end("tiny")["failure"]
    finally:
        operator.install()
    assert failure["reason"] == "ImagePullFailed"
    assert "hyper2kvm-conversion:none" in failure["message"]
    project.delete("tiny")
    assert project.leftovers() == []
