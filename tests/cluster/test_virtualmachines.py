"""VirtualMachines as the operator builds them, judged by KubeVirt's own admission, and what KubeVirt makes of them."""

import json
from collections.abc import Iterator

import pytest

from hyper2kvm_api.errors import HostError
from hyper2kvm_operator.build.metadata import MigrationKey
from lab.cluster.cluster import Cluster
from lab.scenario.project import Project
from unit.operator.machines import MACHINES, SIZES

pytestmark = pytest.mark.cluster

WITHOUT_SIZES = sorted(set(MACHINES) - {"instancetype"})


@pytest.fixture
def sizes(kubevirt_cluster: Cluster) -> Iterator[None]:
    """The instance type and the preference that a machine names."""
    group = "instancetype.kubevirt.io/v1beta1"
    made = [
        {
            "apiVersion": group,
            "kind": SIZES["instancetype"]["kind"],
            "metadata": {"name": SIZES["instancetype"]["name"]},
            "spec": {"cpu": {"guest": 2}, "memory": {"guest": "2Gi"}},
        },
        {
            "apiVersion": group,
            "kind": "VirtualMachineClusterPreference",
            "metadata": {"name": SIZES["preference"]["name"]},
            "spec": {"devices": {"preferredDiskBus": "sata", "preferredInterfaceModel": "e1000e"}},
        },
    ]
    kubevirt_cluster.apply(*made)
    yield
    for one in made:
        kubevirt_cluster.kubectl("delete", one["kind"], one["metadata"]["name"])


def built(project: Project, name: str) -> dict:
    return MACHINES[name](MigrationKey(project.namespace, "web01", "0f3a5c7e-1111-4222-8333-444455556666"))


def judged(project: Project, value: dict) -> dict:
    """The object as the API server would store it; nothing is made."""
    told = project.cluster.kubectl(
        "create",
        f"--namespace={project.namespace}",
        "--dry-run=server",
        "--output=json",
        "-f-",
        stdin=json.dumps(value),
    )
    return json.loads(told)


def instance(machine: dict) -> dict:
    """The VirtualMachineInstance that KubeVirt starts of a machine."""
    template = machine["spec"]["template"]
    return {
        "apiVersion": machine["apiVersion"],
        "kind": "VirtualMachineInstance",
        "metadata": {"name": machine["metadata"]["name"], "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
    }


@pytest.mark.parametrize("name", WITHOUT_SIZES)
def test_kubevirt_takes_a_machine_and_would_start_it(kubevirt_cluster, project, name):
    machine = built(project, name)
    stored = judged(project, machine)
    devices = machine["spec"]["template"]["spec"]["domain"]["devices"]
    kept = stored["spec"]["template"]["spec"]["domain"]["devices"]
    assert kept["disks"] == devices["disks"]
    started = judged(project, instance(machine))["spec"]["domain"]["devices"]
    assert [one["name"] for one in started.get("interfaces", [])] == [one["name"] for one in devices["interfaces"]]


def test_kubevirt_takes_a_machine_of_an_instance_type_and_a_preference(kubevirt_cluster, project, sizes):
    stored = judged(project, built(project, "instancetype"))
    assert stored["spec"]["instancetype"] == SIZES["instancetype"]
    assert stored["spec"]["preference"]["name"] == SIZES["preference"]["name"]
    assert stored["metadata"]["annotations"]["team"] == "platform"


def test_a_machine_without_an_adapter_would_get_one_on_the_pod_network_otherwise(kubevirt_cluster, project):
    machine = built(project, "no-network")
    del machine["spec"]["template"]["spec"]["domain"]["devices"]["autoattachPodInterface"]
    assert judged(project, instance(machine))["spec"]["networks"] == [{"name": "default", "pod": {}}]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda spec: spec["domain"]["devices"]["disks"][0]["disk"].update(bus="floppy"), "bus"),
        (lambda spec: spec["domain"]["features"].pop("smm"), "SMM"),
        (lambda spec: spec["networks"].append({"name": "net9", "pod": {}}), "net9"),
    ],
)
def test_what_is_wrong_is_refused(kubevirt_cluster, project, change, words):
    """So that what is taken here means something."""
    machine = built(project, "secure-boot")
    change(machine["spec"]["template"]["spec"])
    with pytest.raises(HostError) as caught:
        judged(project, machine)
    assert words in caught.value.message
