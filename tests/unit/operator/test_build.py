import os
import re
from functools import partial
from pathlib import Path

import pytest
import yaml

from hyper2kvm_api.machine import Cpu, Nic
from hyper2kvm_api.options import NetworkMapping, VirtualMachineOptions, VolumeMode
from hyper2kvm_api.resolve import Places, resolve
from hyper2kvm_operator.build import imageserver
from hyper2kvm_operator.build.claims import Overheads, disk_claim, required_size, workspace_claim
from hyper2kvm_operator.build.configmap import plan_config, plan_digest, report_config, request_config
from hyper2kvm_operator.build.datavolume import adopting, importing
from hyper2kvm_operator.build.job import Kvm, convert_job, plan_job
from hyper2kvm_operator.build.metadata import MigrationKey
from hyper2kvm_operator.build.virtualmachine import machine_name, map_networks
from hyper2kvm_operator.build.volumes import TargetVolume
from unit.newer import newer
from unit.operator.machines import MACHINES, built
from unit.operator.situations import KEY, MACHINE, SETTINGS, SOURCE, make_spec

GOLDEN = Path(__file__).parent / "golden"
MANIFEST = {
    "apiVersion": "hyper2kvm.io/v1alpha1",
    "kind": "VirtualMachineMigration",
    "metadata": {"name": "web01", "namespace": "moves", "uid": "uid-1", "resourceVersion": "7"},
    "spec": {"source": SOURCE, "profiles": ["production"]},
}
PLAN = resolve(MANIFEST, [], MACHINE, Places("/source", "/targets"))
FULL_JOB = {
    "resources": {"requests": {"cpu": "2"}, "limits": {"memory": "8Gi"}},
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "migration", "operator": "Exists"}],
    "priorityClassName": "batch",
    "serviceAccountName": "mover",
    "labels": {"kueue.x-k8s.io/queue-name": "moves"},
    "annotations": {"team": "platform"},
    "retries": 7,
}
NFS = {"files": {"volume": {"nfs": {"server": "nas.example", "path": "/exports"}}, "path": "web01.ova"}}
HOST_PATH = {"files": {"volume": {"hostPath": {"path": "/exports"}}, "path": "web01.ova"}}
PLACED = SETTINGS.replaced(
    node_selector={"kvm": "yes"},
    tolerations=[{"key": "dedicated", "value": "kvm"}],
    image_pull_secrets=["registry"],
    image_pull_policy="Always",
)
TARGETS = (
    TargetVolume("scsi0:0", "web01-disk0", VolumeMode.FILESYSTEM, "disk.img"),
    TargetVolume("scsi0:1", "web01-disk1", VolumeMode.BLOCK, "disk.img"),
)


def attached(**options):
    return VirtualMachineOptions.model_validate({"create": True, **options})


BUILT = {
    "plan-job": lambda: plan_job(KEY, make_spec(), SETTINGS, "web01-request"),
    "plan-job-nfs": lambda: plan_job(KEY, make_spec(source=NFS), PLACED, "web01-request"),
    "plan-job-host-path": lambda: plan_job(KEY, make_spec(source=HOST_PATH), SETTINGS, "web01-request"),
    "convert-job": lambda: convert_job(
        KEY,
        make_spec(guest={"keys": {"secretName": "luks"}}, job=FULL_JOB),
        SETTINGS,
        "web01-plan",
        TARGETS,
        Kvm.DEVICE_PLUGIN,
        workspace="web01-workspace",
    ),
    "convert-job-privileged": lambda: convert_job(
        KEY, make_spec(), SETTINGS, "web01-plan", TARGETS, Kvm.PRIVILEGED, workspace="web01-workspace"
    ),
    "convert-job-dry-run": lambda: convert_job(
        KEY, make_spec(mode="Plan"), SETTINGS, "web01-plan", (), Kvm.NONE, workspace=None
    ),
    "disk-claim": lambda: disk_claim(
        KEY, "web01-disk0", 10 << 30, make_spec().target.disks, Overheads(), mode=VolumeMode.FILESYSTEM
    ),
    "workspace-claim": lambda: workspace_claim(KEY, make_spec().job.workspace),
    "request-config": lambda: request_config(KEY, MANIFEST),
    "plan-config": lambda: plan_config(KEY, PLAN),
    "adopting-data-volume": lambda: adopting(
        KEY,
        disk_claim(KEY, "web01-disk0", 10 << 30, make_spec().target.disks, Overheads(), mode=VolumeMode.BLOCK),
    ),
    "importing-data-volume": lambda: importing(
        KEY,
        "web01-disk0",
        10 << 30,
        make_spec(target={"disks": {"storageClassName": "fast"}}).target.disks,
        Overheads(0.06, (("fast", 0.1),)),
        url=imageserver.image_url(KEY, SETTINGS, "web01-disk0-artifact", "disk.qcow2"),
        server=imageserver.server_name(KEY),
    ),
    "image-server-pod": lambda: imageserver.pod(KEY, make_spec(job=FULL_JOB), PLACED, ["web01-disk0-artifact"]),
    "image-server-service": lambda: imageserver.service(KEY),
    "image-server-credentials": lambda: list(
        imageserver.credentials(
            KEY,
            user="cdi",
            password="of one migration",  # noqa: S106 -- nobody's
            certificate="its certificate",
            private_key="its key",
        )
    ),
    "report-config": lambda: report_config(KEY, {"report.json": "{}", "report.html": "<html/>"}).config,
    **{f"virtual-machine-{name}": partial(build, KEY) for name, build in MACHINES.items()},
}


def test_a_pod_is_told_nothing_of_profiles_that_are_in_the_spec_already():
    profiled = {**MANIFEST, "spec": {**MANIFEST["spec"], "profiles": ["fast"]}}
    assert request_config(KEY, profiled) == request_config(KEY, MANIFEST)


@pytest.mark.parametrize("name", BUILT)
def test_objects_are_built_as_recorded(name):
    """With REGENERATE=1 in the environment the records are written anew: read their diff."""
    text = yaml.safe_dump(BUILT[name](), sort_keys=False, width=120)
    record = GOLDEN / f"{name}.yaml"
    if os.environ.get("REGENERATE"):
        GOLDEN.mkdir(exist_ok=True)
        record.write_text(text)
    assert record.read_text() == text


@pytest.mark.parametrize("kvm", Kvm)
def test_pods_never_get_a_token_nor_a_writable_root(kvm):
    pod = convert_job(KEY, make_spec(), SETTINGS, "c", TARGETS, kvm, workspace="w")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"]
    assert not any("hostPath" in volume for volume in pod["volumes"])


@pytest.mark.parametrize("kvm", [Kvm.NONE, Kvm.DEVICE_PLUGIN])
def test_pods_that_need_no_privilege_have_none(kvm):
    pod = convert_job(KEY, make_spec(), SETTINGS, "c", TARGETS, kvm, workspace="w")["spec"]["template"]["spec"]
    security = pod["containers"][0]["securityContext"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["allowPrivilegeEscalation"] is False
    assert "privileged" not in security
    assert pod["securityContext"]["runAsUser"] == 107
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


def test_a_privileged_pod_is_told_whom_to_become_and_which_devices_to_reach():
    """And is promised nothing that container runtimes do not keep for privileged containers."""
    job = convert_job(KEY, make_spec(), SETTINGS, "c", TARGETS, Kvm.PRIVILEGED, workspace="w")
    container = job["spec"]["template"]["spec"]["containers"][0]
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert environment["HYPER2KVM_USER"] == "107"
    assert environment["HYPER2KVM_DEVICES"] == "/dev/kvm:/dev/hyper2kvm/web01-disk1"
    assert container["securityContext"] == {"privileged": True, "readOnlyRootFilesystem": True}


def test_every_pod_of_a_migration_goes_where_the_administrator_and_the_user_want_it():
    spec = make_spec(job=FULL_JOB)
    config = "c"
    pods = [
        plan_job(KEY, spec, PLACED, config)["spec"]["template"],
        convert_job(KEY, spec, PLACED, config, TARGETS, Kvm.NONE, workspace="w")["spec"]["template"],
        imageserver.pod(KEY, spec, PLACED, ["web01-disk0-artifact"]),
    ]
    for pod in pods:
        assert pod["spec"]["nodeSelector"] == {"kvm": "yes", "disk": "fast"}
        assert [one["key"] for one in pod["spec"]["tolerations"]] == ["dedicated", "migration"]
        assert pod["spec"]["priorityClassName"] == "batch"
        assert pod["spec"]["serviceAccountName"] == "mover"
        assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]
        assert pod["metadata"]["labels"].items() >= {**FULL_JOB["labels"], **KEY.labels}.items()
        assert pod["metadata"]["annotations"] == FULL_JOB["annotations"]


def test_a_plan_has_one_digest_in_versions_that_know_more():
    assert plan_digest(newer(PLAN)) == plan_digest(PLAN)
    assert plan_digest(newer(PLAN, oneMore="said")) != plan_digest(PLAN)
    guest = PLAN.guest.to_object() | {"oneMore": "said"}
    assert plan_digest(newer(PLAN, guest=guest)) != plan_digest(PLAN)


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "Plan"},
        {"network_model": "e1000e"},
        {"guest": PLAN.guest.replaced(trim=False)},
        {"machine": PLAN.machine.replaced(cpu=Cpu(sockets=2))},
        {"disks": PLAN.disks[:1]},
        {"disks": tuple(reversed(PLAN.disks))},
        {"owner": 107},
    ],
    ids=", ".join,
)
def test_a_plan_that_says_something_else_has_another_digest(changes):
    assert plan_digest(PLAN.replaced(**changes)) != plan_digest(PLAN)


@pytest.mark.parametrize("name", ["web01", "01web", "a.b-c", "x" * 253, "y" * 52 + "-z"])
def test_the_image_servers_name_is_its_migrations_alone_and_a_label_of_dns(name):
    """A Secret of that name cannot be read to see whose it is; and a Service's name begins with a letter."""
    uids = ("0f3a5c7e-1111-4222-8333-444455556666", "1f3a5c7e-1111-4222-8333-444455556666")
    names = [imageserver.server_name(MigrationKey("moves", name, uid)) for uid in uids]
    assert names[0] != names[1]
    assert all(re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])", each) for each in names)
    assert names[0].endswith("-0f3a5c7e")


@pytest.mark.parametrize(
    ("capacity", "mode", "overhead", "expected"),
    [
        (1 << 30, VolumeMode.BLOCK, 0.06, 1 << 30),
        ((1 << 30) + 1, VolumeMode.BLOCK, 0.06, (1 << 30) + (1 << 20)),
        (1 << 30, VolumeMode.FILESYSTEM, 0.06, 1086 << 20),
        (1 << 30, VolumeMode.FILESYSTEM, 0.0, 1 << 30),
    ],
)
def test_volumes_hold_the_disk_after_the_overhead(capacity, mode, overhead, expected):
    size = required_size(capacity, mode, overhead)
    assert size == expected
    if mode is VolumeMode.FILESYSTEM:
        assert size / (1 + overhead) >= capacity


def test_names_of_children_are_valid_and_unique():
    long = MigrationKey("moves", "a" * 100 + ".example", "u")
    other = MigrationKey("moves", "a" * 100 + ".another", "u")
    names = {key.child(suffix) for key in (KEY, long, other) for suffix in ("plan", "convert", "disk12")}
    assert len(names) == 9
    assert all(len(name) <= 63 and "." not in name for name in names)
    assert KEY.child("plan") == "web01-plan"


def test_a_report_fits_a_config_map_and_says_what_does_not():
    kept = report_config(KEY, {"report.json": "{}", "report.html": "ä" * (1 << 20)})
    assert list(kept.config["data"]) == ["report.json", "NOTE.txt"]
    assert kept.left_out == ("report.html",)
    assert "report.html: 2097152 bytes" in kept.config["data"]["NOTE.txt"]


def test_a_report_that_fits_is_kept_whole():
    kept = report_config(KEY, {"report.json": "{}", "report.html": "<html>"})
    assert kept.config["data"] == {"report.json": "{}", "report.html": "<html>"}
    assert kept.left_out == ()


@pytest.mark.parametrize(
    ("named", "default", "overhead"),
    [(None, None, 0.06), (None, "slow", 0.2), ("fast", "slow", 0.1), ("other", "slow", 0.06)],
)
def test_a_claim_is_sized_for_the_class_that_it_will_get(named, default, overhead):
    """CDI states overheads a class, the default one's too; a claim that names no class gets that."""
    overheads = Overheads(0.06, (("fast", 0.1), ("slow", 0.2)))
    options = make_spec(target={"disks": {"storageClassName": named}}).target.disks
    served = {"url": "https://x", "server": "s"}
    claim = disk_claim(KEY, "d", 1 << 30, options, overheads, mode=VolumeMode.FILESYSTEM, default_class=default)
    imported = importing(KEY, "d", 1 << 30, options, overheads, default_class=default, **served)["spec"]["pvc"]
    for spec in (claim["spec"], imported):
        assert spec["resources"]["requests"]["storage"] == str(required_size(1 << 30, VolumeMode.FILESYSTEM, overhead))
        assert spec.get("storageClassName") == named


NICS = [Nic(id=f"ethernet{n}", network=network) for n, network in enumerate(["VM Network", "DMZ", "VM Network"])]


@pytest.mark.parametrize(
    ("mappings", "attached_ids", "ignored", "unmapped", "crowded"),
    [
        ([], ["ethernet0"], [], ["ethernet1", "ethernet2"], []),
        ([{"pod": {}}], ["ethernet0"], [], [], ["ethernet1", "ethernet2"]),
        ([{"source": "DMZ", "pod": {}}], ["ethernet1"], [], ["ethernet0", "ethernet2"], []),
        (
            [{"source": "DMZ", "pod": {}}, {"multus": {"networkName": "lan"}}],
            ["ethernet0", "ethernet1", "ethernet2"],
            [],
            [],
            [],
        ),
        (
            [{"source": "VM Network", "ignore": {}}, {"multus": {"networkName": "lan"}}],
            ["ethernet1"],
            ["ethernet0", "ethernet2"],
            [],
            [],
        ),
    ],
)
def test_adapters_are_mapped(mappings, attached_ids, ignored, unmapped, crowded):
    networks = map_networks(NICS, [NetworkMapping.model_validate(m) for m in mappings])
    assert [a.nic.id for a in networks.attached] == attached_ids
    assert [n.id for n in networks.ignored] == ignored
    assert [n.id for n in networks.unmapped] == unmapped
    assert [n.id for n in networks.crowded] == crowded


@pytest.mark.parametrize(("source", "name"), [("Web 01", "web-01"), ("--", "vm"), ("DB_Prod.local", "db-prod-local")])
def test_names_of_virtual_machines_are_made_valid(source, name):
    assert machine_name(MACHINE.replaced(name=source), attached()) == name
    assert machine_name(MACHINE, attached(name="mine")) == "mine"


@pytest.mark.parametrize("nics", [(), MACHINE.nics])
def test_a_machine_without_an_attached_adapter_gets_none_from_kubevirt(nics):
    """KubeVirt adds an interface on the pod network to a machine that has none, unless it is told not to."""
    made = built(MACHINE.replaced(nics=nics), networks=[{"ignore": {}}])(KEY)["spec"]["template"]["spec"]
    assert made["networks"] == []
    assert made["domain"]["devices"]["autoattachPodInterface"] is False
    assert "autoattachPodInterface" not in built()(KEY)["spec"]["template"]["spec"]["domain"]["devices"]
