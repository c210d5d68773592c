"""A source on a claim in, a disk that CDI and KubeVirt take out: both handoffs, both volume modes, both bindings."""

import hashlib
import json
import sys
from pathlib import Path

import pytest

from hyper2kvm.run import run
from lab.scenario.project import Project, claim, migration

pytestmark = pytest.mark.cluster

MIB = 1 << 20


@pytest.fixture
def source(project: Project, tiny_disk) -> Project:
    project.source({"tiny.qcow2": tiny_disk})
    return project


@pytest.fixture(scope="session")
def content(tiny_disk, tmp_path_factory) -> bytes:
    """The first MiB of the disk."""
    raw = tmp_path_factory.mktemp("content") / "tiny.raw"
    run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(tiny_disk), str(raw)], deadline=60)
    return raw.read_bytes()[:MIB]


@pytest.mark.parametrize("storage_class", ["lab-wait", "lab-immediate"])
def test_adopt_makes_a_data_volume_of_the_claim_that_was_written(operator, source, content, storage_class):
    target = {"disks": {"storageClassName": storage_class}}
    source.apply(migration("tiny", "tiny.qcow2", target=target))
    status = source.wait_phase("tiny", "Succeeded")
    volume = source.get("datavolume", "tiny-disk0")
    assert volume["status"]["phase"] == "Succeeded"
    image = source.image("tiny-disk0")
    assert image.stat().st_uid == 107
    assert image.stat().st_size == 64 * MIB
    with image.open("rb") as disk:
        assert disk.read(MIB) == content
    assert {one["type"]: one["status"] for one in status["conditions"]} == dict.fromkeys(
        ("Planned", "Provisioned", "Converted", "Validated", "HandedOff", "Ready"), "True"
    )
    assert [(disk["handedOff"], disk["capacity"]) for disk in status["disks"]] == [(True, 64 * MIB)]
    source.delete("tiny")
    assert source.leftovers(["persistentvolumeclaim/tiny-disk0", "datavolume/tiny-disk0"]) == []
    assert image.exists()
    assert source.source_is_unchanged()


def test_adopt_takes_a_block_volume(operator, source, content):
    target = {"disks": {"storageClassName": "lab-block", "volumeMode": "Block"}}
    source.apply(migration("tiny", "tiny.qcow2", target=target))
    source.wait_phase("tiny", "Succeeded")
    volume = source.get("datavolume", "tiny-disk0")
    assert volume["status"]["phase"] == "Succeeded"
    assert volume["spec"]["pvc"]["volumeMode"] == "Block"
    assert block_digest(source, "tiny-disk0") == hashlib.sha256(content).hexdigest()


def test_import_serves_the_image_to_cdi_and_takes_the_server_away(operator, source, content):
    target = {"disks": {"format": "qcow2", "storageClassName": "lab-wait"}}
    source.apply(migration("tiny", "tiny.qcow2", target=target))
    source.wait_phase("tiny", "Succeeded")
    volume = source.get("datavolume", "tiny-disk0")
    assert volume["spec"]["source"]["http"]["url"].startswith("https://tiny-serve.")
    with source.image("tiny-disk0").open("rb") as disk:
        assert disk.read(MIB) == content
    served = {"pod/tiny-serve", "service/tiny-serve", "secret/tiny-serve", "configmap/tiny-serve"}
    kept = {"persistentvolumeclaim/tiny-disk0", "datavolume/tiny-disk0"}
    everything = source.leftovers(kept, patience=0)
    assert "persistentvolumeclaim/tiny-disk0-artifact" in everything
    assert source.leftovers({*everything, *kept} - served) == []
    source.delete("tiny")
    assert source.leftovers(kept) == []
    assert source.get("datavolume", "tiny-disk0")["status"]["phase"] == "Succeeded"
    assert source.source_is_unchanged()


def test_none_leaves_the_image_on_its_claim_until_the_migration_goes(operator, source):
    source.apply(migration("tiny", "tiny.qcow2", target={"disks": {"format": "qcow2"}, "handoff": "None"}))
    source.wait_phase("tiny", "Succeeded")
    assert source.image("tiny-disk0-artifact", "disk.qcow2").read_bytes()[:4] == b"QFI\xfb"
    assert source.items("datavolume") == []
    source.delete("tiny")
    assert source.leftovers() == []


def test_a_dry_run_makes_no_claims_and_keeps_a_report(operator, source):
    source.apply(migration("tiny", "tiny.qcow2", mode="Plan"))
    status = source.wait_phase("tiny", "Succeeded")
    assert status["machine"]["disks"][0]["capacity"] == 64 * MIB
    assert any(one.startswith("NoOperatingSystem") for one in status["warnings"])
    report = source.get("configmap", status["report"])
    assert set(report["data"]) == {"report.json", "report.html"}
    assert [one for one in source.leftovers(patience=0) if "persistentvolumeclaim" in one] == []
    source.delete("tiny")
    assert source.leftovers() == []
    assert source.source_is_unchanged()


def test_what_the_user_wants_removed_after_success_is_removed(operator, source):
    cleanup = dict.fromkeys(("jobs", "workspace", "artifacts"), "OnSuccess")
    target = {"disks": {"format": "qcow2"}}
    source.apply(migration("tiny", "tiny.qcow2", target=target, cleanup=cleanup))
    source.wait_phase("tiny", "Succeeded")
    kept = {"persistentvolumeclaim/tiny-disk0", "datavolume/tiny-disk0"}
    documents = {f"configmap/tiny-{one}" for one in ("request", "plan", "report")}
    assert source.leftovers({*kept, *documents}) == []


def test_applying_the_same_migration_again_changes_nothing(operator, source):
    wanted = migration("tiny", "tiny.qcow2")
    source.apply(wanted)
    before = source.wait_phase("tiny", "Succeeded")
    source.apply(wanted)
    source.apply(wanted)
    assert source.status("tiny") == before
    assert [reason for reason, _ in source.events("tiny")].count("Succeeded") == 1


def test_the_events_and_the_screen_tell_the_story(operator, source):
    source.apply(migration("tiny", "tiny.qcow2"))
    source.wait_phase("tiny", "Succeeded")
    reasons = [reason for reason, _ in source.events("tiny")]
    assert {"Planning", "Planned", "Converted", "Succeeded"} <= set(reasons)
    assert len(reasons) == len(set(reasons))
    header, line = source.kubectl("get", "vmig").splitlines()
    assert header.split()[:5] == ["NAME", "PHASE", "STAGE", "PROGRESS", "BOOT"]
    assert line.split()[:2] == ["tiny", "Succeeded"]
    assert 'hyper2kvm_migrations{phase="Succeeded"}' in operator.metrics()


def h2k(project: Project, *arguments: str) -> str:
    """What the command says, with the lab's kubeconfig."""
    environment = {"KUBECONFIG": str(project.cluster.kubeconfig), "COLUMNS": "160"}
    return run([str(Path(sys.executable).with_name("h2k")), *arguments], deadline=60, environment=environment).text


def test_the_command_shows_migrations_and_fetches_reports(operator, source, tmp_path):
    source.apply(migration("tiny", "tiny.qcow2", mode="Plan"))
    source.wait_phase("tiny", "Succeeded")
    shown = h2k(source, "status", "--namespace", source.namespace)
    assert "Succeeded" in next(line for line in shown.splitlines() if " tiny " in line)
    h2k(source, "report", "--namespace", source.namespace, "tiny", "--output", str(tmp_path))
    assert json.loads((tmp_path / "report.json").read_text())
    assert "<html" in (tmp_path / "report.html").read_text()


def block_digest(project: Project, name: str) -> str:
    """SHA-256 of the first MiB of a block volume, read by a pod."""
    project.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "reader"},
            "spec": {
                "restartPolicy": "Never",
                "securityContext": {"runAsUser": 107, "runAsGroup": 107, "fsGroup": 107},
                "containers": [
                    {
                        "name": "main",
                        "image": project.cluster.tools_image,
                        "imagePullPolicy": "Never",
                        "command": ["bash", "-euc", "head -c 1048576 /dev/volume | sha256sum"],
                        "volumeDevices": [{"name": "disk", "devicePath": "/dev/volume"}],
                    }
                ],
                "volumes": [{"name": "disk", "persistentVolumeClaim": {"claimName": name}}],
            },
        }
    )
    project.cluster.wait("pod", "reader", "status.phase", "Succeeded", namespace=project.namespace)
    return project.kubectl("logs", "reader").split()[0]


def test_a_claim_of_somebody_else_with_a_wanted_name_stops_the_migration_in_planning(operator, source):
    source.apply(claim("tiny-disk0", "lab-immediate", "64Mi"), migration("tiny", "tiny.qcow2"))
    failure = source.wait_phase("tiny", "Failed")["failure"]
    assert failure["reason"] == "ClaimExists"
    assert "tiny-disk0" in failure["message"]
    source.delete("tiny")
    assert source.leftovers() == []
    assert source.get("persistentvolumeclaim", "tiny-disk0") is not None
