"""A source on a claim in, a disk that CDI and KubeVirt take out: both handoffs, both volume modes, both bindings.

All migrations start at once; each test looks at one.
"""

import hashlib
import json
from collections.abc import Iterator
from uuid import uuid4

import pytest
from kubernetes.utils import parse_quantity

from hyper2kvm.run import run
from hyper2kvm_operator.build.imageserver import server_name
from hyper2kvm_operator.kube.resources import NAME_LABEL
from lab.command import h2k_on_a_terminal
from lab.scenario.ending import failed
from lab.scenario.objects import claim, migration, pod
from lab.scenario.project import KIND, Project

pytestmark = pytest.mark.cluster

MIB = 1 << 20

WANTED = {
    "wait": {"target": {"disks": {"storageClassName": "lab-wait"}}},
    "immediate": {"target": {"disks": {"storageClassName": "lab-immediate"}}},
    "block": {"target": {"disks": {"storageClassName": "lab-block", "volumeMode": "Block"}}},
    "import": {"target": {"disks": {"format": "qcow2", "compression": "Zstd", "storageClassName": "lab-wait"}}},
    "import-block": {"target": {"disks": {"format": "qcow2", "storageClassName": "lab-block", "volumeMode": "Block"}}},
    "none": {"target": {"disks": {"format": "qcow2"}, "handoff": "None"}},
    "plan": {"mode": "Plan"},
    "tidy": {
        "target": {"disks": {"format": "qcow2"}},
        "cleanup": dict.fromkeys(("jobs", "workspace", "artifacts"), "OnSuccess"),
    },
    "taken": {},
    "restored": {},
}


@pytest.fixture(scope="module")
def handoffs(operator, tiny_disk) -> Iterator[Project]:
    """A namespace in which all of them have been applied."""
    made = Project(operator.cluster, f"handoffs-{uuid4().hex[:4]}")
    operator.cluster.kubectl.make_namespace(made.namespace)
    made.source({"tiny.qcow2": tiny_disk})
    made.apply(claim("taken-disk0", "lab-immediate", "64Mi"))
    made.apply(*(migration(name, "tiny.qcow2", **changes) for name, changes in WANTED.items()))
    yield made
    operator.cluster.kubectl("delete", "namespace", made.namespace, "--wait=false")


@pytest.fixture(scope="session")
def content(tiny_disk, tmp_path_factory) -> bytes:
    """The first MiB of the disk."""
    raw = tmp_path_factory.mktemp("content") / "tiny.raw"
    run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(tiny_disk), str(raw)], deadline=60)
    return raw.read_bytes()[:MIB]


def asked(project: Project, name: str) -> int:
    """The bytes that a migration's disk has asked for."""
    found = project.get("persistentvolumeclaim", f"{name}-disk0") or {}
    return int(parse_quantity(found["spec"]["resources"]["requests"]["storage"]))


COUNTED = (
    'hyper2kvm_migrations{phase="Succeeded"}',
    'hyper2kvm_migrations_finished_total{phase="Succeeded"}',
    'hyper2kvm_phase_duration_seconds_count{phase="Converting"}',
    'hyper2kvm_stage_duration_seconds_count{stage="Convert"}',
    "hyper2kvm_copied_bytes_total",
    'hyper2kvm_boot_checks_total{accelerator="",evidence="",verdict="Skipped"}',
    "hyper2kvm_reconcile_duration_seconds_count",
    "hyper2kvm_api_requests_total",
)
"""Metrics, as Prometheus reads them, that are not zero after a migration."""

SCREEN = "\x1b[?1049h"
"""How a program begins that takes the whole screen of a terminal (xterm's control sequences, DECSET 1049)."""


def kept(name: str) -> set[str]:
    """What outlives a migration: its disk."""
    return {f"persistentvolumeclaim/{name}-disk0", f"datavolume/{name}-disk0"}


@pytest.mark.parametrize("name", ["wait", "immediate"])
def test_adopt_makes_a_data_volume_of_the_claim_that_was_written(handoffs, content, name):
    status = handoffs.wait_phase(name, "Succeeded")
    assert handoffs.get("datavolume", f"{name}-disk0")["status"]["phase"] == "Succeeded"
    assert asked(handoffs, name) == 68 * MIB  # with CDI's default overhead, 6 % (its doc/cdi-config.md)
    image = handoffs.image(f"{name}-disk0")
    assert (image.stat().st_uid, image.stat().st_size) == (107, 64 * MIB)
    with image.open("rb") as disk:
        assert disk.read(MIB) == content
    assert {one["type"]: one["status"] for one in status["conditions"]} == dict.fromkeys(
        ("Planned", "Provisioned", "Converted", "Validated", "HandedOff", "Ready"), "True"
    )
    disk_status = status["disks"][0]
    assert (disk_status["handedOff"], disk_status["capacity"], disk_status["copied"]) == (True, 64 * MIB, 8 * MIB)
    handoffs.delete(name)
    assert handoffs.leftovers(kept(name), of=name) == []
    assert image.exists()


def test_a_manifest_that_is_restored_after_its_migration_was_removed_finds_the_disk_and_leaves_it_alone(handoffs):
    """As from a backup, or from a repository that is applied again and again."""
    handoffs.wait_phase("restored", "Succeeded")
    handoffs.delete("restored")
    before = handoffs.image("restored-disk0").stat()
    handoffs.apply(migration("restored", "tiny.qcow2"))
    failed(handoffs, "restored", "ClaimExists", "restored-disk0")
    handoffs.delete("restored")
    assert handoffs.leftovers(kept("restored"), of="restored") == []
    after = handoffs.image("restored-disk0").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(("name", "images"), [("block", []), ("import-block", [("Filesystem", "lab-wait")])])
def test_both_handoffs_take_a_block_volume(handoffs, content, name, images):
    """The image that CDI imports is a file: it is where the workspace is."""
    handoffs.wait_phase(name, "Succeeded")
    volume = handoffs.get("datavolume", f"{name}-disk0")
    assert (volume["status"]["phase"], volume["spec"]["pvc"]["volumeMode"]) == ("Succeeded", "Block")
    assert asked(handoffs, name) == 64 * MIB
    assert block_digest(handoffs, f"{name}-disk0") == hashlib.sha256(content).hexdigest()
    claims = handoffs.items("persistentvolumeclaim", f"{NAME_LABEL}={name}")
    made = [one["spec"] for one in claims if one["metadata"]["name"].endswith("-artifact")]
    assert [(one["volumeMode"], one["storageClassName"]) for one in made] == images
    handoffs.delete(name)
    assert handoffs.leftovers(kept(name), of=name) == []
    assert handoffs.get("datavolume", f"{name}-disk0")["status"]["phase"] == "Succeeded"


def test_import_serves_the_image_to_cdi_and_takes_the_server_away(handoffs, content):
    handoffs.wait_phase("import", "Succeeded")
    volume = handoffs.get("datavolume", "import-disk0")
    server = server_name(handoffs.key("import"))
    assert volume["spec"]["source"]["http"]["url"].startswith(f"https://{server}.")
    with handoffs.image("import-disk0").open("rb") as disk:
        assert disk.read(MIB) == content
    served = {f"{kind}/{server}" for kind in ("pod", "service", "secret", "configmap")}
    everything = {*handoffs.leftovers(of="import", patience=0), *kept("import")}
    assert "persistentvolumeclaim/import-disk0-artifact" in everything
    assert handoffs.leftovers(everything - served, of="import") == []
    handoffs.delete("import")
    assert handoffs.leftovers(kept("import"), of="import") == []
    assert handoffs.get("datavolume", "import-disk0")["status"]["phase"] == "Succeeded"


def test_none_leaves_the_image_on_its_claim_until_the_migration_goes(handoffs):
    handoffs.wait_phase("none", "Succeeded")
    assert handoffs.image("none-disk0-artifact", "disk.qcow2").read_bytes()[:4] == b"QFI\xfb"
    assert handoffs.get("datavolume", "none-disk0") is None
    handoffs.delete("none")
    assert handoffs.leftovers(of="none") == []


def test_a_dry_run_makes_no_claims_and_keeps_a_report(handoffs, tmp_path):
    status = handoffs.wait_phase("plan", "Succeeded")
    assert status["machine"]["disks"][0]["capacity"] == 64 * MIB
    assert any(one.startswith("NoOperatingSystem") for one in status["warnings"])
    assert [one for one in handoffs.leftovers(of="plan", patience=0) if "persistentvolumeclaim" in one] == []
    h2k(handoffs, "report", "--namespace", handoffs.namespace, "plan", "--output", str(tmp_path))
    report = json.loads((tmp_path / "plan-report.json").read_text())
    assert report["plan"]["machine"] == status["machine"]
    assert "NoOperatingSystem" in [one["reason"] for one in report["warnings"]]
    assert "<html" in (tmp_path / "plan-report.html").read_text()
    handoffs.delete("plan")
    assert handoffs.leftovers(of="plan") == []


def test_what_the_user_wants_removed_after_success_is_removed(handoffs):
    handoffs.wait_phase("tidy", "Succeeded")
    documents = {f"configmap/tidy-{one}" for one in ("request", "plan", "report")}
    assert handoffs.leftovers({*kept("tidy"), *documents}, of="tidy") == []


def test_a_claim_of_somebody_else_with_a_wanted_name_stops_the_migration_in_planning(handoffs):
    failure = handoffs.wait_phase("taken", "Failed")["failure"]
    assert failure["reason"] == "ClaimExists"
    assert "taken-disk0" in failure["message"]
    handoffs.delete("taken")
    assert handoffs.leftovers(of="taken") == []
    assert handoffs.get("persistentvolumeclaim", "taken-disk0") is not None


def test_applying_the_same_migration_again_changes_nothing(handoffs):
    before = handoffs.wait_phase("tidy", "Succeeded")
    for _ in range(2):
        handoffs.apply(migration("tidy", "tiny.qcow2", **WANTED["tidy"]))
    assert handoffs.status("tidy") == before
    assert [reason for reason, _ in handoffs.wait_event("tidy", "Succeeded")].count("Succeeded") == 1


def test_events_screen_metrics_and_command_tell_the_story(operator, handoffs):
    handoffs.wait_phase("tidy", "Succeeded")
    events = handoffs.wait_event("tidy", "Succeeded")
    reasons = [reason for reason, _ in events]
    assert all(reasons.count(one) == 1 for one in ("Planning", "Planned", "Converted", "Succeeded")), events
    assert len(events) == len(set(events)), events
    header, line = handoffs.kubectl("get", "vmig", "tidy").splitlines()
    assert header.split() == ["NAME", "PHASE", "STAGE", "PROGRESS", "BOOT", "REASON", "AGE"]
    assert line.split()[:-1] == ["tidy", "Succeeded", "100", "Skipped", "Succeeded"]
    values = dict(line.rsplit(" ", 1) for line in operator.metrics().splitlines() if not line.startswith("#"))
    assert [name for name in COUNTED if not float(values.get(name, 0)) > 0] == []
    shown = h2k(handoffs, "status", "--namespace", handoffs.namespace)
    assert "Succeeded" in next(line for line in shown.splitlines() if " tidy " in line)
    watched = ("status", "--watch", "--namespace", handoffs.namespace)
    environment = {"KUBECONFIG": str(handoffs.cluster.kubeconfig), "COLUMNS": "160"}
    code, screen = h2k_on_a_terminal(*watched, until=" tidy ", **environment)
    assert code == 0, screen
    assert screen.startswith(SCREEN), screen
    assert "Succeeded" in screen


def h2k(project: Project, *arguments: str) -> str:
    """What the command says, on a wide screen."""
    told = project.h2k(*arguments, COLUMNS="160")
    assert told.code == 0, told.stderr
    return told.stdout


def block_digest(project: Project, name: str) -> str:
    """SHA-256 of the first MiB of a block volume, read by a pod."""
    script = "head -c 1048576 /dev/volume | sha256sum"
    project.apply(pod(f"reads-{name}", project.cluster.tools_image, script, device=name))
    project.cluster.wait("pod", f"reads-{name}", "status.phase", "Succeeded", namespace=project.namespace)
    told = project.kubectl("logs", f"reads-{name}").split()[0]
    project.kubectl("delete", "pod", f"reads-{name}")
    return told


def test_in_the_end_there_are_the_disks_and_the_source_as_it_was(handoffs):
    handoffs.kubectl("delete", KIND, "--all", "--timeout=120s", deadline=130)
    disks = set().union(*(kept(name) for name in WANTED if name not in {"none", "plan", "taken"}))
    assert handoffs.leftovers({*disks, "persistentvolumeclaim/taken-disk0"}) == []
    assert handoffs.source_is_unchanged()
