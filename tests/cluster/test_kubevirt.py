"""The proof that counts: VMware's guests are migrated by the operator, and KubeVirt itself runs them to their login."""

import datetime as dt
import json

import pytest
from kubernetes.utils import parse_quantity

from lab.cluster.progress import wait_for
from lab.demo import cluster as demo
from lab.demo.ending import near
from lab.documentation import REPOSITORY, Page, untold
from lab.guests.build import ensure_guest
from lab.running import belongings, console, wait_console, wait_running
from lab.scenario import multus
from lab.scenario.ending import finished_cleanly
from lab.scenario.objects import Json, migration
from lab.scenario.project import Project

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2400)]


README = Page(REPOSITORY / "README.md", (REPOSITORY / "README.md").read_text())
PASSING = ("web01: Converting · Fix", "web01: Converting · Convert ")
"""How lines begin of what may be over before the next look."""

HARDWARE = {
    "cpu": {"sockets": 1, "cores": 2, "threads": 1},
    "memory": 1 << 30,
    "bootloader": {"bios": {}},
    "disks": [("virtio", "h2k-disk0", 1), ("virtio", "h2k-disk1", None)],
    "interfaces": [("virtio", "00:50:56:9a:10:01", {"masquerade"})],
}
"""What the OVA says of the machine (tests/lab/guests/templates/machine.ovf), as KubeVirt has it."""


def test_the_demonstration_shows_a_guest_under_kubevirt(operator, kubevirt_cluster, project, tmp_path, capsys):
    """As `make demo` does, from the example of the documentation."""
    demo.clear(kubevirt_cluster)
    shown = demo.migrate(project, ensure_guest("debian12-bios"), tmp_path / "out")
    assert shown.screen.read_bytes().startswith(b"\x89PNG")
    assert "data:image/png;base64," in shown.report.read_text()
    told = (
        capsys.readouterr().out.replace(project.namespace, demo.NAMESPACE).replace(near(tmp_path / "out"), "out/demo")
    )
    (shown_to_readers,) = (block for block in README.blocks("") if "kubectl apply" in block)
    assert [line for line in untold(shown_to_readers, told) if not line.startswith(PASSING)] == []
    assert shown.status["boot"]["verdict"] == "Booted"
    machine = project.get("virtualmachine", "debian12-bios")["spec"]["template"]["spec"]
    assert hardware(machine) == HARDWARE
    assert [volume["dataVolume"]["name"] for volume in machine["volumes"]] == ["web01-disk0", "web01-disk1"]
    runs(project, shown.status)


def sized(kind: str, **spec: Json) -> Json:
    """An instance type or a preference, as the administrator of a namespace sets them up."""
    return {"apiVersion": "instancetype.kubevirt.io/v1beta1", "kind": kind, "metadata": {"name": "small"}, "spec": spec}


SIZES = {
    "instancetype": sized("VirtualMachineInstancetype", cpu={"guest": 2}, memory={"guest": "768Mi"}),
    "preference": sized("VirtualMachinePreference", cpu={"preferredCPUTopology": "cores"}),
}
"""Field of a migration → what it refers to."""


USED = {
    *(("virtualmachines.kubevirt.io", verb) for verb in ("get", "list", "create")),
    ("virtualmachineinstancetypes.instancetype.kubevirt.io", "get"),
    ("virtualmachinepreferences.instancetype.kubevirt.io", "get"),
}
"""What the operator does for such a machine, as it may."""


def test_a_guest_with_uefi_on_block_volumes_runs_under_kubevirt(operator, kubevirt_cluster, project):
    """Imported by CDI; with Secure Boot and a TPM, of an instance type."""
    guest = ensure_guest("debian12-uefi")
    project.apply(*SIZES.values())
    project.source({f"vmx/{file.name}": file for file in guest.vmx.iterdir()}, size="2Gi")
    project.apply(
        migration(
            "web01",
            "vmx",
            guest={"whenUnsupported": "Fail", "serialConsole": True},
            machine={"tpm": True},
            validation={"boot": {"enabled": True}},
            job={"workspace": {"size": "2Gi"}},
            target={
                "disks": {
                    "format": "qcow2",
                    "compression": "Zstd",
                    "storageClassName": "lab-block",
                    "volumeMode": "Block",
                },
                "virtualMachine": {
                    "create": True,
                    "runStrategy": "Always",
                    "networks": [{"source": "VM Network", "pod": {}}],
                    **{field: {"kind": one["kind"], "name": "small"} for field, one in SIZES.items()},
                },
            },
        )
    )
    status = project.wait_phase("web01", "Succeeded", deadline=1200)
    assert (status["boot"]["verdict"], status["boot"]["evidence"]) == ("Booted", "Probe")
    done, _ = operator.audited(dt.datetime.now(dt.UTC))
    assert USED - done == set()
    wait_running(kubevirt_cluster, project.namespace, status["virtualMachineName"])
    told = wait_console(kubevirt_cluster, project.namespace, status["virtualMachineName"], f"{guest.name} ttyS0")
    assert "Secure boot enabled" in told  # the kernel's words
    domain = project.get("virtualmachineinstance", status["virtualMachineName"])["spec"]["domain"]
    assert domain["firmware"]["bootloader"] == {"efi": {"secureBoot": True}}
    assert domain["devices"]["tpm"] == {"persistent": True}
    assert (domain["cpu"]["cores"], parse_quantity(domain["memory"]["guest"])) == (2, 768 << 20)
    runs(project, status, "virtualmachineinstancetype/small", "virtualmachinepreference/small")


@pytest.fixture
def vlan(kubevirt_cluster, project):
    """The name of a network of Multus in the namespace."""
    network = multus.bridge("vlan20")
    with multus.installed(kubevirt_cluster):
        project.apply(network)
        yield network["metadata"]["name"]


def test_a_machine_is_attached_to_the_network_of_multus_that_its_adapter_is_mapped_to(
    operator, kubevirt_cluster, project, machine_ova, vlan
):
    """Up to the pod in which KubeVirt starts it. There KubeVirt makes a link that a kernel without dummy(4) refuses."""
    project.source({"tiny.ova": machine_ova})
    networks = [{"source": "VM Network", "multus": {"networkName": vlan}}]
    machine = {"create": True, "name": "web01", "runStrategy": "Always", "networks": networks}
    project.apply(migration("web01", "tiny.ova", target={"virtualMachine": machine}))
    status = project.wait_phase("web01", "Succeeded")
    assert ("network-attachment-definitions.k8s.cni.cncf.io", "get") in operator.audited(dt.datetime.now(dt.UTC))[0]
    annotations = attached(project, "web01")
    (wanted,) = json.loads(annotations[multus.NETWORKS])
    (found,) = (one for one in json.loads(annotations[multus.STATUS]) if one["name"] == f"{project.namespace}/{vlan}")
    (adapter,) = status["machine"]["nics"]
    assert (wanted["name"], wanted["mac"], found["mac"]) == (vlan, adapter["mac"], adapter["mac"])


def attached(project: Project, machine: str) -> dict[str, str]:
    """The annotations of the pod of a machine, once Multus has said what it is attached to."""
    found: dict[str, str] = {}

    def missing() -> str | None:
        for pod in project.items("pod", f"vm.kubevirt.io/name={machine}"):
            found.update(pod["metadata"].get("annotations", {}))
        return None if multus.STATUS in found else "it is attached to nothing"

    wait_for(f"the pod of {machine}", missing, deadline=120)
    return found


def runs(project: Project, status: Json, *given: str) -> None:
    """A migrated guest has come up under KubeVirt; without its migration it goes on with what is given, and that is all."""
    machine = status["virtualMachineName"]
    assert "emergency" not in console(project.cluster, project.namespace, machine)
    finished_cleanly(project, "web01", kept=[*given, *belongings(project.cluster, project.namespace, machine)])
    assert project.get("virtualmachine", machine)["status"]["printableStatus"] == "Running"


def hardware(machine: Json) -> Json:
    """What a VirtualMachine's template says of its hardware, as far as the source has a say in it."""
    domain = machine["domain"]
    return {
        "cpu": {key: domain["cpu"][key] for key in ("sockets", "cores", "threads")},
        "memory": parse_quantity(domain["memory"]["guest"]),
        "bootloader": domain["firmware"]["bootloader"],
        "disks": [(one["disk"]["bus"], one["serial"], one.get("bootOrder")) for one in domain["devices"]["disks"]],
        "interfaces": [
            (one["model"], one["macAddress"], {"masquerade", "bridge"} & one.keys())
            for one in domain["devices"]["interfaces"]
        ],
    }
