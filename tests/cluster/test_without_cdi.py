"""A cluster without CDI, and one that gets it later."""

from collections.abc import Iterator

import pytest

from lab.cluster import cdi
from lab.cluster.cluster import Cluster
from lab.running import belongings, wait_running
from lab.scenario.ending import failed, finished_cleanly
from lab.scenario.installation import Installation
from lab.scenario.objects import migration
from lab.scenario.project import Project

pytestmark = [pytest.mark.cluster, pytest.mark.alone]

MACHINE = {"memory": "128Mi"}
IMPORT = {"disks": {"format": "qcow2"}}


@pytest.fixture
def bare(kubevirt_cluster: Cluster, operator: Installation) -> Iterator[Cluster]:
    """The cluster while CDI is not installed, with an operator that was started there."""
    operator.scale(0)
    cdi.uninstall(kubevirt_cluster.kubectl)
    operator.scale(1)
    yield kubevirt_cluster
    cdi.install(kubevirt_cluster.kubectl)
    cdi.wait_until_deployed(kubevirt_cluster.kubectl)


def test_without_cdi_the_claims_are_the_disks_and_what_needs_it_works_once_it_is_there(bare, project, tiny_disk):
    project.source({"tiny.qcow2": tiny_disk})
    machine = {"create": True, "name": "web01", "runStrategy": "Always", "networks": []}
    project.apply(migration("adopted", "tiny.qcow2", machine=MACHINE, target={"virtualMachine": machine}))
    project.apply(migration("imported", "tiny.qcow2", target=IMPORT))
    refused(project)
    runs_from_its_claim(bare, project)
    cdi.install(bare.kubectl)
    cdi.wait_until_deployed(bare.kubectl)
    project.patch("imported", {"job": {"retries": 1}})
    machine = belongings(bare, project.namespace, "web01")
    finished_cleanly(project, "imported", kept=[*machine, "persistentvolumeclaim/adopted-disk0"])


def refused(project: Project) -> None:
    assert "Install CDI" in failed(project, "imported", "CdiMissing")["hint"]
    assert project.pods("imported", "plan") == []


def runs_from_its_claim(cluster: Cluster, project: Project) -> None:
    status = project.wait_phase("adopted", "Succeeded")
    (told,) = (one["message"] for one in status["conditions"] if one["type"] == "HandedOff")
    assert "CDI is not installed: the claims themselves are the disks" in told
    wait_running(cluster, project.namespace, "web01")
    project.delete("adopted")
    owners = project.get("persistentvolumeclaim", "adopted-disk0")["metadata"]["ownerReferences"]
    assert [(one["kind"], one["name"]) for one in owners] == [("VirtualMachine", "web01")]
    assert project.get("virtualmachine", "web01") is not None
