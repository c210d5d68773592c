import pytest

from hyper2kvm_api.devices import chosen_devices
from hyper2kvm_api.machine import Machine, MachineDisk
from hyper2kvm_api.options import TargetOptions
from hyper2kvm_api.resolve import Places, resolve

DISK = MachineDisk(id="scsi0:0", bus="scsi", controller=0, unit=0, capacity=1 << 30, format="vmdk", file="a.vmdk")


@pytest.mark.parametrize(
    ("disks", "machine", "repaired", "bus", "model"),
    [
        ({}, {}, True, "virtio", "virtio"),
        ({}, {}, False, "sata", "e1000e"),
        ({"bus": "virtio"}, {}, False, "virtio", "e1000e"),
        ({"bus": "scsi"}, {"networkModel": "virtio"}, False, "scsi", "virtio"),
        ({"bus": "sata"}, {"networkModel": "e1000e"}, True, "sata", "e1000e"),
    ],
)
def test_a_guest_that_is_not_repaired_gets_devices_that_it_knows_unless_the_user_says(
    disks, machine, repaired, bus, model
):
    target = TargetOptions.model_validate({"disks": disks, "virtualMachine": machine})
    chosen = chosen_devices(target, repaired=repaired)
    assert (chosen.bus, chosen.network_model) == (bus, model)


def test_a_plan_holds_both_until_the_guest_is_known():
    source = {"files": {"volume": {"hostPath": {"path": "/exports"}}, "path": "web01.ova"}}
    spec = {"source": source, "target": {"virtualMachine": {"networkModel": "virtio"}}}
    migration = {"metadata": {"name": "web01"}, "spec": spec}
    plan = resolve(migration, [], Machine(name="web01", memory=1 << 30, disks=(DISK,)), Places("/source", "/out"))
    assert plan.for_guest(repaired=True) == plan
    assert ([disk.bus for disk in plan.disks], plan.network_model) == (["virtio"], "virtio")
    copied = plan.for_guest(repaired=False)
    assert ([disk.bus for disk in copied.disks], copied.network_model) == (["sata"], "virtio")
