"""VirtualMachines as the operator builds them, one a kind of request: recorded by unit tests, judged by KubeVirt itself."""

from hyper2kvm_api.devices import chosen_devices
from hyper2kvm_api.machine import Cpu, Firmware, Nic
from hyper2kvm_api.options import TargetOptions
from hyper2kvm_operator.build.virtualmachine import AttachedDisk, virtual_machine
from unit.operator.situations import MACHINE

NICS = (
    *MACHINE.nics,
    Nic(id="ethernet1", mac="00:50:56:aa:bb:cd", network="DMZ", model="e1000"),
    Nic(id="ethernet2", mac="00:50:56:aa:bb:ce", network="DMZ", connected=False),
)
UEFI = MACHINE.replaced(
    firmware=Firmware.UEFI,
    secure_boot=True,
    tpm=True,
    uuid="564d1234-0000-0000-0000-000000000001",
    cpu=Cpu(sockets=2, cores=4, threads=2),
    nics=NICS,
)
SIZES = {
    "instancetype": {"name": "h2k-medium", "kind": "VirtualMachineClusterInstancetype"},
    "preference": {"name": "h2k-linux"},
}


def built(machine=MACHINE, *, firmware=Firmware.BIOS, data_volume=True, repaired=True, disks=None, **options):
    """A builder of the machine, for a migration."""
    target = TargetOptions.model_validate({"disks": disks or {}, "virtualMachine": {"create": True, **options}})
    attached = [
        AttachedDisk(disk.id, f"web01-disk{n}", data_volume, serial=f"h2k-disk{n}", boot=n == 0)
        for n, disk in enumerate(machine.disks)
    ]
    devices = chosen_devices(target, repaired=repaired)
    return lambda key: virtual_machine(key, machine, firmware, attached, target.virtual_machine, devices)


MACHINES = {
    "bios": built(name="bios"),
    "secure-boot": built(
        UEFI,
        firmware=Firmware.UEFI,
        name="secure-boot",
        runStrategy="Always",
        labels={"app": "web"},
        networks=[{"source": "DMZ", "multus": {"networkName": "dmz"}}, {"pod": {}}],
    ),
    "instancetype": built(name="instancetype", annotations={"team": "platform"}, **SIZES),
    "copied-unchanged": built(MACHINE.replaced(nics=NICS), name="copied-unchanged", repaired=False),
    "scsi": built(name="scsi", disks={"bus": "scsi"}, networkModel="e1000e"),
    "claims": built(name="claims", data_volume=False),
    "no-network": built(name="no-network", networks=[{"ignore": {}}]),
    "pod-network-down": built(
        MACHINE.replaced(nics=(MACHINE.nics[0].replaced(connected=False),)), name="pod-network-down"
    ),
}
