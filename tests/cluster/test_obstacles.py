"""What stands in a migration's way for a while, and what becomes of it when that is gone, or stays."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from hyper2kvm_operator.build.imageserver import server_name
from lab.cluster.claims import Claim
from lab.cluster.volumes import Volume, VolumeMode
from lab.scenario.ending import failed, failed_cleanly, finished_cleanly
from lab.scenario.images import disk_image
from lab.scenario.moments import held
from lab.scenario.objects import Json, migration, quota
from lab.scenario.project import Project

pytestmark = pytest.mark.cluster

MIB = 1 << 20


def test_an_edit_starts_a_failed_migration_again(operator, project, tiny_disk):
    project.source({"tiny.qcow2": tiny_disk})
    project.apply(migration("tiny", "tiny.ova"))
    failed(project, "tiny", "SourceNotFound", "tiny.ova")
    project.patch("tiny", {"source": {"files": {"path": "tiny.qcow2"}}})
    finished_cleanly(project, "tiny")


def test_a_target_volume_without_room_is_tried_again_and_named_and_goes_on_when_there_is_some(
    operator, project, tmp_path
):
    """Somebody else's file takes the room of the claim, which is as large as the disk needs."""
    image = disk_image(tmp_path / "web01.qcow2", size=256, data=256)
    project.source({"web01.qcow2": image}, size="512Mi")
    project.apply(
        migration("web01", "web01.qcow2", target={"disks": {"storageClassName": "lab-immediate"}}, job={"retries": 1})
    )
    project.cluster.wait("persistentvolumeclaim", "web01-disk0", "status.phase", "Bound", namespace=project.namespace)
    other = project.image("web01-disk0", "somebody-elses")
    other.write_bytes(bytes(200 * MIB))
    assert failed(project, "web01", "TargetFull")["stage"] == "Convert"
    tried_twice(project, "web01", "TargetFull")
    other.unlink()
    project.patch("web01", {"job": {"retries": 2}})
    finished_cleanly(project, "web01")


def tried_twice(project: Project, name: str, reason: str) -> None:
    """The status counts two pods; it and an Event tell why the first one was followed by another."""
    status = project.status(name)
    assert status["attempts"] == 2
    (told,) = (message for word, message in project.wait_event(name, "Retrying") if word == "Retrying")
    assert told.startswith(f"attempt 1 ended, {reason}: ")
    assert told in status["warnings"]


DISK = 64 * MIB
"""Bytes of the disk of `tiny_disk`."""


@pytest.fixture
def small_volume(project: Project) -> Iterator[None]:
    """A block volume for the claim `tiny-disk0` that has half of the bytes that it tells of, as a wrong provisioner's.

    It looks like one of the lab's provisioner, which removes it after its claim; here it is where it never got one.
    """
    claim = Claim(
        namespace=project.namespace,
        name="tiny-disk0",
        uid=str(uuid4()),
        storage_class="lab-block",
        mode=VolumeMode.BLOCK,
        access_modes=("ReadWriteOnce",),
        size=str(DISK),
        settled=False,
        node="",
    )
    cluster, volume = project.cluster, Volume(project.cluster.layout.volumes, claim.volume_name)
    try:
        made = claim.persistent_volume(volume.create(DISK // 2, claim.mode))
        del made["spec"]["claimRef"]["uid"]  # the claim does not exist yet
        cluster.apply(made)
        yield
    finally:
        if cluster.kubectl.field("persistentvolume", volume.name, "status.phase") not in {"Bound", "Released"}:
            cluster.kubectl("delete", "persistentvolume", volume.name, "--ignore-not-found")
            volume.destroy()


def test_a_target_volume_that_is_smaller_than_its_disk_is_named_with_both_sizes(
    operator, project, small_volume, tiny_disk
):
    project.source({"tiny.qcow2": tiny_disk})
    block = {"storageClassName": "lab-block", "volumeMode": "Block"}
    project.apply(migration("tiny", "tiny.qcow2", target={"disks": block}))
    failure = failed_cleanly(project, "tiny", "TargetTooSmall", f"has {DISK // 2} bytes, the disk {DISK}")
    assert (failure["stage"], failure["disk"]) == ("Convert", "scsi0:0")


def created(name: str, **options: Json | str) -> Json:
    """A target with a virtual machine."""
    networks = [{"source": "VM Network", "pod": {}}]
    return {"virtualMachine": {"create": True, "name": name, "networks": networks, **options}}


def test_a_target_that_somebody_else_has_or_will_have_is_found_in_planning(
    operator, kubevirt_cluster, project, machine_ova
):
    """By name, of a machine that is there or that another migration is about to create; and by MAC address."""
    project.source({"tiny.ova": machine_ova})
    project.apply(migration("first", "tiny.ova", target=created("web01")))
    with held(project, "first"):
        project.apply(migration("meanwhile", "tiny.ova", target=created("web01")))
        refused(project, "meanwhile", "VirtualMachineExists", "the migration first")
    project.wait_phase("first", "Succeeded")
    project.apply(
        migration("afterwards", "tiny.ova", target=created("web01")),
        migration("twin", "tiny.ova", target=created("web02")),
    )
    refused(project, "afterwards", "VirtualMachineExists", "web01")
    refused(project, "twin", "MacAddressInUse", "is the address of the VirtualMachine")
    for name in ("meanwhile", "afterwards", "twin"):
        project.delete(name)
    finished_cleanly(project, "first", kept=["virtualmachine/web01"])


def test_a_machine_that_kubevirt_would_refuse_is_found_in_planning(operator, kubevirt_cluster, project, machine_ova):
    project.source({"tiny.ova": machine_ova})
    preference = {"name": "large", "kind": "VirtualMachinePreference"}
    large = {
        "apiVersion": "instancetype.kubevirt.io/v1beta1",
        "kind": preference["kind"],
        "metadata": {"name": preference["name"]},
        "spec": {"requirements": {"cpu": {"guest": 64}}},
    }
    project.apply(migration("early", "tiny.ova", target=created("web01", preference=preference)))
    refused(project, "early", "VirtualMachineRefused", "there is no VirtualMachinePreference large")
    project.delete("early")
    elsewhere = created("web01", networks=[{"multus": {"networkName": "shared/vlan20"}}])
    project.apply(migration("nowhere", "tiny.ova", target=elsewhere))
    refused(project, "nowhere", "VirtualMachineRefused", "there is no NetworkAttachmentDefinition shared/vlan20")
    project.delete("nowhere")
    project.apply(large, migration("tiny", "tiny.ova", target=created("web01", preference=preference)))
    refused(project, "tiny", "VirtualMachineRefused", "preference requires 64 vCPU")
    failed_cleanly(project, "tiny", "VirtualMachineRefused", kept=["virtualmachinepreference/large"])


def refused(project: Project, name: str, reason: str, words: str) -> None:
    """A migration has failed in planning: it has no claims."""
    failed(project, name, reason, words)
    made = project.leftovers(of=name, patience=0)
    assert [one for one in made if one.startswith("persistentvolumeclaim/")] == []


def test_a_quota_that_stays_fails_the_migration(operator, project, tiny_disk):
    project.source({"tiny.qcow2": tiny_disk})
    project.apply(quota(**{"requests.storage": "300Mi"}), migration("tiny", "tiny.qcow2"))
    assert "exceeded quota" in project.wait_reason("tiny", "QuotaExceeded")["message"]
    failed_cleanly(project, "tiny", "QuotaExceeded", "exceeded quota", kept=["resourcequota/limits"])


def test_a_quota_that_is_lifted_lets_the_migration_go_on(operator, project, tiny_disk):
    project.source({"tiny.qcow2": tiny_disk})
    project.apply(quota(pods="0"), migration("tiny", "tiny.qcow2"))
    assert "exceeded quota" in project.wait_reason("tiny", "QuotaExceeded")["message"]
    project.kubectl("delete", "resourcequota", "limits")
    finished_cleanly(project, "tiny")


def restrict(project: Project) -> None:
    project.cluster.kubectl("label", "namespace", project.namespace, "pod-security.kubernetes.io/enforce=restricted")


def test_a_restricted_namespace_takes_what_needs_no_privilege(operator, project, tiny_disk):
    """As the service account that the user names, and with no token of it."""
    restrict(project)
    project.source({"tiny.qcow2": tiny_disk})
    project.kubectl("create", "serviceaccount", "mover")
    job = {"serviceAccountName": "mover"}
    project.apply(migration("tiny", "tiny.qcow2", target={"disks": {"format": "qcow2"}}, job=job))
    project.wait_phase("tiny", "Succeeded")
    (converted,) = project.pods("tiny", "convert")
    assert converted["spec"]["serviceAccountName"] == "mover"
    mounts = [mount["mountPath"] for mount in converted["spec"]["containers"][0]["volumeMounts"]]
    assert not any("serviceaccount" in path for path in mounts)
    finished_cleanly(project, "tiny", kept=["serviceaccount/mover"])


def test_a_restricted_namespace_names_the_label_that_privilege_needs(operator, project, tiny_disk):
    restrict(project)
    project.source({"tiny.qcow2": tiny_disk})
    project.apply(migration("tiny", "tiny.qcow2", job={"kvm": "Privileged"}))
    failure = failed_cleanly(project, "tiny", "PodSecurityForbidden")
    assert "pod-security.kubernetes.io/enforce" in failure["hint"]


@pytest.mark.alone
def test_a_wrong_image_is_named(operator, project, tiny_disk):
    project.source({"tiny.qcow2": tiny_disk})
    operator.install(
        "conversion.image.name=localhost/hyper2kvm-conversion:none", "conversion.image.pullPolicy=IfNotPresent"
    )
    try:
        project.apply(migration("tiny", "tiny.qcow2"))
        failed(project, "tiny", "ImagePullFailed", "hyper2kvm-conversion:none")
    finally:
        operator.install()
    failed_cleanly(project, "tiny", "ImagePullFailed")


@pytest.mark.alone
def test_an_import_that_cdi_cannot_finish_fails_with_its_words_and_an_edit_finishes_it(operator, project, tiny_disk):
    """The importer does not find the image server: its host has a name that the cluster's DNS does not know.

    The disk is converted again where the edit wants another one, and only there.
    """
    project.source({"tiny.qcow2": tiny_disk})
    operator.install("clusterDomain=wrong.example")
    edits = {"tiny": {"job": {"retries": 5}}, "other": {"target": {"disks": {"compression": "Zstd"}}}}
    try:
        project.apply(*(migration(name, "tiny.qcow2", target={"disks": {"format": "qcow2"}}) for name in edits))
        for name in edits:
            failed(project, name, "HandoffFailed", "Unable to connect to http data source")
            server = server_name(project.key(name))
            project.cluster.wait_gone("pod", server, namespace=project.namespace)
            assert [one for one in project.leftovers(of=name, patience=0) if server in one] == []
    finally:
        operator.install()
    converted = {name: pods(project, name) for name in edits}
    for name, edit in edits.items():
        project.patch(name, edit)
    for name in edits:
        project.wait_phase(name, "Succeeded")
    assert pods(project, "tiny") == converted["tiny"]
    assert not set(pods(project, "other")) & set(converted["other"])
    assert "PlanChanged" in {reason for reason, _ in project.events("other")}
    finished_cleanly(project, *edits)


def pods(project: Project, name: str) -> list[str]:
    """The uids of the pods that have converted a migration's disks."""
    return [pod["metadata"]["uid"] for pod in project.pods(name, "convert")]


def test_an_edit_may_want_another_handoff(operator, project, tiny_disk):
    """CDI makes the claim of an import itself, and refuses one whose claim is there."""
    project.source({"tiny.qcow2": tiny_disk})
    project.apply(migration("tiny", "tiny.qcow2", guest={"whenUnsupported": "Fail"}))
    failed(project, "tiny", "NoOperatingSystem")
    adopted = project.get("persistentvolumeclaim", "tiny-disk0")["metadata"]["uid"]
    project.patch("tiny", {"guest": {"whenUnsupported": "Copy"}, "target": {"disks": {"format": "qcow2"}}})
    project.wait_phase("tiny", "Succeeded")
    assert project.get("persistentvolumeclaim", "tiny-disk0")["metadata"]["uid"] != adopted
    finished_cleanly(project, "tiny")
