"""The KubeVirt VirtualMachine of a migrated machine.

Source: https://kubevirt.io/api-reference/ (VirtualMachine v1)
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hyper2kvm_api.devices import Devices
from hyper2kvm_api.machine import Cpu, Firmware, Machine, Nic
from hyper2kvm_api.names import rfc1123
from hyper2kvm_api.options import NetworkMapping, NicModel, TargetBus, VirtualMachineOptions
from hyper2kvm_operator.build.metadata import Json, MigrationKey, new_object
from hyper2kvm_operator.kube.resources import Resources

_MIB = 1024 * 1024


@dataclass(frozen=True)
class AttachedDisk:
    """A finished disk of the virtual machine.

    Attributes:
        id: the disk's id in the machine.
        claim: name of its claim (and of its DataVolume).
        data_volume: whether a DataVolume stands over the claim.
        serial: serial number that the guest sees.
        boot: whether the firmware starts from it.
    """

    id: str
    claim: str
    data_volume: bool
    serial: str
    boot: bool


@dataclass(frozen=True)
class Attachment:
    """A network adapter and where it goes.

    Attributes:
        nic: the adapter.
        multus: NetworkAttachmentDefinition, or None for the pod network.
    """

    nic: Nic
    multus: str | None


@dataclass(frozen=True)
class Networks:
    """The adapters that the virtual machine gets, and those that it does not.

    Attributes:
        attached: adapters with their networks.
        ignored: adapters that the user leaves out.
        unmapped: adapters that no mapping names and that the pod network cannot take.
        crowded: adapters that are mapped to the pod network beside another one: KubeVirt allows one.
    """

    attached: tuple[Attachment, ...]
    ignored: tuple[Nic, ...] = ()
    unmapped: tuple[Nic, ...] = ()
    crowded: tuple[Nic, ...] = ()


def machine_name(machine: Machine, options: VirtualMachineOptions) -> str:
    """The VirtualMachine's name: the user's, or the source's made valid."""
    return options.name or rfc1123(machine.name)


def map_networks(nics: Sequence[Nic], mappings: Sequence[NetworkMapping]) -> Networks:
    """Decide where each adapter goes. Without mappings the first adapter goes to the pod network."""
    exact = {mapping.source: mapping for mapping in mappings if mapping.source is not None}
    general = next((mapping for mapping in mappings if mapping.source is None), None)
    attached: list[Attachment] = []
    ignored: list[Nic] = []
    unmapped: list[Nic] = []
    crowded: list[Nic] = []
    pod_taken = False
    for nic in nics:
        mapping = exact.get(nic.network or "") or general
        if mapping is not None and mapping.ignore is not None:
            ignored.append(nic)
        elif mapping is not None and mapping.multus is not None:
            attached.append(Attachment(nic, mapping.multus.network_name))
        elif mapping is None and (mappings or pod_taken):
            unmapped.append(nic)
        elif pod_taken:
            crowded.append(nic)
        else:
            attached.append(Attachment(nic, None))
            pod_taken = True
    return Networks(tuple(attached), tuple(ignored), tuple(unmapped), tuple(crowded))


def virtual_machine(
    key: MigrationKey,
    machine: Machine,
    firmware: Firmware,
    disks: Sequence[AttachedDisk],
    options: VirtualMachineOptions,
    devices: Devices,
) -> Json:
    """The VirtualMachine. It is not owned by the migration: it outlives it.

    Args:
        key: the migration.
        machine: the target's hardware.
        firmware: what the guest boots with.
        disks: the finished disks, in the machine's order.
        options: what the user asks for.
        devices: what the guest reaches disks and networks through.
    """
    name = machine_name(machine, options)
    made = new_object(
        Resources.VIRTUAL_MACHINE.value,
        key,
        name,
        owned=False,
        labels=options.labels,
        annotations=options.annotations or None,
    )
    networks = map_networks(machine.nics, options.networks).attached
    names = [f"net{index}" for index in range(len(networks))]
    domain: Json = {
        "machine": {"type": "q35"},
        "firmware": _firmware(machine, firmware),
        "features": {"acpi": {}} | ({"smm": {"enabled": True}} if _secure(machine, firmware) else {}),
        "devices": {
            "disks": [_disk(disk, index, devices.bus) for index, disk in enumerate(disks)],
            "interfaces": [_interface(n, a, devices.network_model) for n, a in zip(names, networks, strict=True)],
            "rng": {},
        }
        # Without an interface KubeVirt would add one on the pod network.
        | ({} if networks else {"autoattachPodInterface": False})
        | ({"tpm": {"persistent": True}} if machine.tpm else {}),
    }
    if options.instancetype is None:
        domain |= {"cpu": _cpu(machine.cpu), "memory": {"guest": f"{-(-machine.memory // _MIB)}Mi"}}
    spec: Json = {
        "runStrategy": options.run_strategy.value,
        "template": {
            "metadata": {"labels": {**options.labels, "kubevirt.io/domain": name[:63]}},
            "spec": {
                "domain": domain,
                "networks": [_network(n, a) for n, a in zip(names, networks, strict=True)],
                "volumes": [_volume(disk, index) for index, disk in enumerate(disks)],
            },
        },
    }
    for field, reference in (("instancetype", options.instancetype), ("preference", options.preference)):
        if reference is not None:
            spec[field] = reference.to_object()
    made["spec"] = spec
    return made


def _cpu(cpu: Cpu) -> Json:
    return {"sockets": cpu.sockets, "cores": cpu.cores, "threads": cpu.threads}


def _secure(machine: Machine, firmware: Firmware) -> bool:
    return firmware is Firmware.UEFI and machine.secure_boot


def _firmware(machine: Machine, firmware: Firmware) -> Json:
    loader: Json = {"bios": {}}
    if firmware is Firmware.UEFI:
        loader = {"efi": {"secureBoot": machine.secure_boot}}
    return {"bootloader": loader} | ({"uuid": machine.uuid} if machine.uuid else {})


def _disk(disk: AttachedDisk, index: int, bus: TargetBus) -> Json:
    made: Json = {"name": f"disk{index}", "disk": {"bus": bus.value}, "serial": disk.serial}
    return made | ({"bootOrder": 1} if disk.boot else {})


def _volume(disk: AttachedDisk, index: int) -> Json:
    source: Json = {"persistentVolumeClaim": {"claimName": disk.claim}}
    if disk.data_volume:
        source = {"dataVolume": {"name": disk.claim}}
    return {"name": f"disk{index}", **source}


def _interface(name: str, attachment: Attachment, model: NicModel) -> Json:
    binding: Json = {"masquerade": {}} if attachment.multus is None else {"bridge": {}}
    made: Json = {"name": name, "model": model.value, **binding}
    if attachment.nic.mac:
        made["macAddress"] = attachment.nic.mac
    return made | ({} if attachment.nic.connected else {"state": "down"})


def _network(name: str, attachment: Attachment) -> Json:
    where: Json = {"pod": {}} if attachment.multus is None else {"multus": {"networkName": attachment.multus}}
    return {"name": name, **where}
