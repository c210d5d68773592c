"""The proof that counts: VMware's guests are migrated by the operator, and KubeVirt itself runs them to their login."""

import pytest

from lab.guests.build import ensure_guest
from lab.running import console, wait_console, wait_running
from lab.scenario.project import migration

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2400)]


@pytest.mark.parametrize(
    ("name", "export", "options"),
    [
        ("debian12-bios", "ova", {"target": {"disks": {"storageClassName": "lab-wait"}}}),
        ("debian12-uefi", "vmx", {"target": {"disks": {"storageClassName": "lab-block", "volumeMode": "Block"}}}),
    ],
)
def test_a_migrated_guest_runs_under_kubevirt(operator, kubevirt_cluster, project, name, export, options):
    guest = ensure_guest(name)
    files = {guest.ova.name: guest.ova} if export == "ova" else {f"vmx/{f.name}": f for f in guest.vmx.iterdir()}
    project.source(files, size="2Gi")
    machine = {"create": True, "runStrategy": "Always", "networks": [{"source": "VM Network", "pod": {}}]}
    project.apply(
        migration(
            "web01",
            guest.ova.name if export == "ova" else "vmx",
            guest={"whenUnsupported": "Fail", "serialConsole": True},
            validation={"boot": {"enabled": True, "timeout": "15m"}},
            job={"workspace": {"size": "2Gi"}},
            target={**options["target"], "virtualMachine": machine},
        )
    )
    status = project.wait_end("web01", deadline=1200)
    assert status["phase"] == "Succeeded", status
    assert status["boot"]["verdict"] == "Booted"
    assert project.source_is_unchanged()
    for disk in status["disks"]:
        assert project.get("datavolume", disk["claimName"])["status"]["phase"] == "Succeeded"
    machine = status["virtualMachineName"]
    wait_running(kubevirt_cluster, project.namespace, machine)
    wait_console(kubevirt_cluster, project.namespace, machine, f"{name} ttyS0")  # the banner over the login prompt
    assert "emergency" not in console(kubevirt_cluster, project.namespace, machine)
    project.delete("web01")
    assert project.get("virtualmachine", machine) is not None
