"""What the API server itself refuses, accepts and shows, before any operator has looked."""

import json

import pytest
import yaml

from hyper2kvm_api.errors import HostError
from lab.cluster.cluster import Cluster
from lab.scenario.ending import finished_cleanly
from lab.scenario.objects import Json, migration
from lab.scenario.project import KIND

pytestmark = pytest.mark.cluster

VOLUME = {"persistentVolumeClaim": {"claimName": "exports"}}
NFS = {"nfs": {"server": "files.example", "path": "/exports"}}

REFUSED = {
    "no source": ({"source": {"files": None}}, "exactly one of files is needed"),
    "two volumes": ({"source": {"files": {"volume": {**VOLUME, **NFS}, "path": "a.ova"}}}, "exactly one of"),
    "no volume": ({"source": {"files": {"volume": {"persistentVolumeClaim": None}}}}, "exactly one of"),
    "an absolute path": ({"source": {"files": {"path": "/web01.ova"}}}, "must be relative and without '..'"),
    "a path that climbs": ({"source": {"files": {"path": "web01/../../web02.ova"}}}, "must be relative"),
    "an unknown format": ({"source": {"files": {"format": "iso"}}}, "Unsupported value"),
    "an unknown field": ({"target": {"handof": "Adopt"}}, ".spec.target.handof: field not declared in schema"),
    "a handoff that does not fit": ({"target": {"handoff": "Import"}}, "Import needs qcow2"),
    "compressed raw": ({"target": {"disks": {"compression": "Zstd"}}}, "only qcow2 disks can be compressed"),
    "a machine without a handoff": (
        {"target": {"handoff": "None", "virtualMachine": {"create": True}}},
        "virtualMachine.create needs handoff Adopt or Import",
    ),
    "a machine from vdi": (
        {"target": {"disks": {"format": "vdi"}, "virtualMachine": {"create": True}}},
        "virtualMachine.create needs disks.format raw or qcow2",
    ),
    "Secure Boot on BIOS": ({"machine": {"secureBoot": True, "firmware": "bios"}}, "secureBoot needs firmware uefi"),
    "a network to nowhere": (
        {"target": {"virtualMachine": {"networks": [{"source": "VM Network"}]}}},
        "exactly one of pod, multus, ignore",
    ),
    "a network to two places": (
        {"target": {"virtualMachine": {"networks": [{"pod": {}, "ignore": {}}]}}},
        "exactly one of pod, multus, ignore",
    ),
    "a bad timeout": ({"validation": {"boot": {"timeout": "soon"}}}, "spec.validation.boot.timeout"),
    "a bad size": ({"job": {"workspace": {"size": "big"}}}, "spec.job.workspace.size"),
    "a bad storage class": ({"target": {"disks": {"storageClassName": "Fast Disks"}}}, "storageClassName"),
    "too many retries": ({"job": {"retries": 21}}, "spec.job.retries"),
    "an unknown mode": ({"mode": "Try"}, "spec.mode"),
    "an unknown access mode": ({"target": {"disks": {"accessModes": ["ReadMostly"]}}}, "accessModes"),
    "a root that is no device": ({"guest": {"root": "sda1; rm -rf /"}}, "spec.guest.root"),
}


@pytest.mark.parametrize(
    ("changes", "words"), [pytest.param(changes, words, id=name) for name, (changes, words) in REFUSED.items()]
)
def test_the_api_server_refuses(operator, cluster, changes, words):
    with pytest.raises(HostError) as caught:
        judged(cluster, migration("web01", "web01.ova", **changes))
    assert words in caught.value.message


def judged(cluster: Cluster, value: Json) -> None:
    """Apply an object without effect."""
    command = ("apply", "--server-side", "--dry-run=server", "--filename=-")
    cluster.kubectl(*command, stdin=json.dumps(value))


def test_the_api_server_accepts_every_option(operator, cluster):
    judged(
        cluster,
        {
            "apiVersion": "hyper2kvm.io/v1alpha1",
            "kind": "MigrationProfile",
            "metadata": {"name": "all"},
            "spec": {
                "machine": {"cpu": {"sockets": 1, "cores": 2, "threads": 1}, "memory": "2Gi", "firmware": "uefi"},
                "guest": {"initramfs": "Keep", "root": "/dev/vg0/root", "keys": {"secretName": "keys"}},
                "target": {
                    "disks": {
                        "format": "qcow2",
                        "compression": "Zstd",
                        "bus": "scsi",
                        "accessModes": ["ReadWriteMany"],
                    },
                    "handoff": "Import",
                    "virtualMachine": {
                        "create": True,
                        "networks": [{"source": "VM Network", "multus": {"networkName": "vlan7"}}, {"pod": {}}],
                        "labels": {"tier": "front"},
                        "instancetype": {"name": "u1.medium"},
                    },
                },
                "validation": {"boot": {"enabled": True, "timeout": "15m"}},
                "job": {"kvm": "DevicePlugin", "tolerations": [{"key": "dedicated", "operator": "Exists"}]},
                "cleanup": {"workspace": "OnSuccess"},
            },
        },
    )


def layered(**spec):
    """A suspended migration of two profiles, with its own layer as it stands: nulls are kept."""
    own = migration("web01", "web01.ova", suspend=True, profiles=["base", "team"])
    return {**own, "spec": {**own["spec"], **spec}}


def test_a_null_takes_away_what_profiles_set(operator, project, tiny_disk):
    """The null must pass the API server; the status has what is effective once planning begins."""
    project.source({"web01.ova": tiny_disk})
    for name, spec in (
        ("base", {"guest": {"trim": False, "serialConsole": True}, "target": {"handoff": "Import"}}),
        ("team", {"target": {"disks": {"format": "qcow2"}, "virtualMachine": {"labels": {"tier": "a", "team": "b"}}}}),
    ):
        profile = {"apiVersion": "hyper2kvm.io/v1alpha1", "kind": "MigrationProfile", "metadata": {"name": name}}
        project.apply({**profile, "spec": spec})
    taken = {
        "guest": {"trim": None, "whenUnsupported": "Copy"},
        "target": {"handoff": None, "disks": {"compression": "Zstd"}, "virtualMachine": {"labels": {"tier": None}}},
    }
    project.apply(layered(**taken))
    kept = project.get(KIND, "web01")["spec"]
    assert kept["guest"] == taken["guest"]
    assert kept["target"] == taken["target"]
    project.patch("web01", {"suspend": False})
    project.wait_phase("web01", "Planning", "Provisioning", "Converting", "Failed")
    effective = yaml.safe_load(project.status("web01")["effectiveSpec"])
    assert "trim" not in effective["guest"] or effective["guest"]["trim"] is True
    assert effective["guest"]["serialConsole"] is True
    assert "handoff" not in effective["target"]
    assert effective["target"]["virtualMachine"]["labels"] == {"team": "b"}


def test_a_profile_that_contradicts_itself_is_refused(operator, project):
    profile = {"apiVersion": "hyper2kvm.io/v1alpha1", "kind": "MigrationProfile", "metadata": {"name": "all"}}
    for spec, words in (
        ({"target": {"handoff": "Import", "disks": {"format": "raw"}}}, "Import needs qcow2"),
        ({"target": {"virtualMachine": {"networks": [{"source": "lan"}]}}}, "exactly one of pod, multus, ignore"),
        ({"machine": {"secureBoot": True, "firmware": "bios"}}, "secureBoot needs firmware uefi"),
    ):
        with pytest.raises(HostError) as caught:
            project.apply({**profile, "spec": spec})
        assert words in caught.value.message
    project.apply({**profile, "spec": {"target": {"handoff": "Import"}}})


def test_a_spec_may_change_before_the_conversion_and_not_after_it(operator, project, tiny_disk):
    project.source({"tiny.qcow2": tiny_disk})
    project.apply(migration("tiny", "tiny.qcow2", suspend=True))
    project.wait_phase("tiny", "Pending")
    project.patch("tiny", {"target": {"disks": {"bus": "scsi"}}})
    project.patch("tiny", {"suspend": False})
    project.wait_phase("tiny", "Converting", "HandingOff")
    with pytest.raises(HostError) as caught:
        project.patch("tiny", {"target": {"disks": {"bus": "sata"}}})
    assert "spec is fixed once conversion has started" in caught.value.message
    project.wait_phase("tiny", "Succeeded")
    with pytest.raises(HostError) as caught:
        project.patch("tiny", {"target": {"disks": {"bus": "sata"}}})
    assert "spec is fixed once the migration has succeeded" in caught.value.message
    finished_cleanly(project, "tiny")


def test_a_dry_run_that_has_succeeded_may_become_a_migration(operator, project, tiny_disk):
    project.source({"tiny.qcow2": tiny_disk})
    project.apply(migration("look", "tiny.qcow2", mode="Plan"))
    project.wait_phase("look", "Succeeded")
    project.patch("look", {"mode": "Migrate"})
    status = project.wait_phase("look", "Succeeded")
    assert status["disks"][0]["handedOff"]
    finished_cleanly(project, "look")


def test_explain_describes_the_fields(operator, cluster):
    told = cluster.kubectl("explain", "vmig.spec.target.handoff")
    assert "left on its claim" in told.replace("\n", " ").replace("  ", " ")
