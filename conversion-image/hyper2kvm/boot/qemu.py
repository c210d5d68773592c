"""The virtual machine of the boot check, as arguments of QEMU. Pure.

It is built as KubeVirt and libvirt build theirs, so that what boots here boots there: q35, a PCI Express root port for
every disk and adapter (virtio devices are modern-only behind one). Unlike theirs it reaches no network but its own.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hyper2kvm.accelerator import CPUS, QEMU, Accelerator
from hyper2kvm.boot.firmware import Flash
from hyper2kvm_api.machine import Machine
from hyper2kvm_api.options import NicModel, TargetBus

_CPUS: Mapping[Accelerator, int] = {"kvm": 2, "tcg": 1}
"""Virtual CPUs at most. Emulated ones take turns on the host as its scheduler sees fit, and on a busy host Linux has been
seen to wait for ever for the timer of the second ("rcu_preempt detected stalls"): the guest is not to blame for that."""

MIN_MEMORY = 512 * 2**20
"""Bytes. With less, kernels with a large initramfs do not unpack it."""

_CARDS = {NicModel.VIRTIO: "virtio-net-pci", NicModel.E1000E: "e1000e"}
_SATA_PORTS = 6
_PORT_SLOT = 4
_FUNCTIONS = 8

Arguments = list[str]
Options = dict[str, object]


@dataclass(frozen=True)
class BootDisk:
    """A disk of the machine.

    Attributes:
        node: QEMU's options of the block graph, its throw-away overlay on top.
        bus: what it hangs on.
        serial: serial number that the guest sees.
        order: its place in the firmware's boot order, from 0.
    """

    node: Options = field(repr=False)
    bus: TargetBus
    serial: str
    order: int


@dataclass(frozen=True)
class BootHardware:
    """The machine that is started.

    Attributes:
        accelerator: what it runs with.
        cpus: virtual CPUs.
        memory: bytes.
        flash: UEFI firmware; None for BIOS.
        secure_boot: whether the firmware enforces Secure Boot.
        uuid: system UUID, or None.
        network_model: model of the adapters.
        macs: MAC addresses of the adapters.
        disks: the disks in the guest's order.
    """

    accelerator: Accelerator
    cpus: int
    memory: int
    flash: Flash | None
    secure_boot: bool
    uuid: str | None
    network_model: NicModel
    macs: tuple[str, ...]
    disks: tuple[BootDisk, ...]


@dataclass(frozen=True)
class BootFiles:
    """Where QEMU puts what it shows.

    Attributes:
        serial: log of the first serial port, the guest's console.
        report: what the guest writes to the second serial port.
        control: socket of QMP (at most 107 bytes long).
    """

    serial: Path
    report: Path
    control: Path


def hardware(
    machine: Machine,
    disks: tuple[BootDisk, ...],
    flash: Flash | None,
    *,
    accelerator: Accelerator,
    memory: int,
    network_model: NicModel = NicModel.VIRTIO,
) -> BootHardware:
    """The machine to start: the migrated one's hardware, with as much of it as a start needs.

    Args:
        machine: the migrated machine.
        disks: its disks.
        flash: UEFI firmware; None for BIOS.
        accelerator: what it runs with.
        memory: bytes that it has at most. It is to show that it comes up, not to do its work: more would only compete
            with the conversion of others.
        network_model: model of its network adapters.
    """
    return BootHardware(
        accelerator=accelerator,
        cpus=min(machine.cpu.count, _CPUS[accelerator]),
        memory=max(min(machine.memory, memory), MIN_MEMORY),
        flash=flash,
        secure_boot=machine.secure_boot and flash is not None,
        uuid=system_uuid(machine),
        network_model=network_model,
        macs=tuple(nic.mac.lower() for nic in machine.nics if nic.mac),
        disks=disks,
    )


def system_uuid(machine: Machine) -> str | None:
    """The machine's UUID in its usual notation; None when the source gives none that is one."""
    try:
        return str(uuid.UUID(machine.uuid)) if machine.uuid else None
    except ValueError:
        return None


def arguments(machine: BootHardware, files: BootFiles) -> Arguments:
    """Program and arguments. Disks and devices are given as JSON, so that no name in them needs escaping."""
    smm = ",smm=on" if machine.secure_boot else ""
    pflash = ",pflash0=code,pflash1=variables" if machine.flash else ""
    return [
        *(QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
        *("-machine", f"q35,accel={machine.accelerator}{smm}{pflash}"),
        *("-cpu", CPUS[machine.accelerator], "-smp", str(machine.cpus), "-m", f"size={machine.memory // 2**20}M"),
        *(("-uuid", machine.uuid) if machine.uuid else ()),
        *("-boot", "strict=on"),
        *_flash(machine),
        *_consoles(files),
        *_devices(machine),
    ]


def _flash(machine: BootHardware) -> Arguments:
    if machine.flash is None:
        return []
    secure = ["-global", "driver=cfi.pflash01,property=secure,value=on"] if machine.secure_boot else []
    code = {"driver": "file", "filename": str(machine.flash.code), "node-name": "code", "read-only": True}
    variables = {"driver": "file", "filename": str(machine.flash.variables), "node-name": "variables"}
    return [*secure, *_option("-blockdev", code), *_option("-blockdev", variables)]


def _consoles(files: BootFiles) -> Arguments:
    return [
        *("-chardev", f"file,id=serial,path={_escaped(files.serial)}", "-serial", "chardev:serial"),
        *("-chardev", f"file,id=report,path={_escaped(files.report)}", "-serial", "chardev:report"),
        *("-chardev", f"socket,id=control,path={_escaped(files.control)},server=on,wait=off"),
        *("-mon", "chardev=control,mode=control"),
        *_option("-device", {"driver": "VGA", "bus": "pcie.0", "addr": "1"}),
    ]


def _devices(machine: BootHardware) -> Arguments:
    ports = _Ports()
    made = []
    for number, mac in enumerate(machine.macs):
        # DHCP gives the same address in all of QEMU's networks unless they differ; the probe tells adapters by networks.
        # The addresses are those of tests of devices (RFC 2544), which no guest has.
        network = f",net=198.18.{number}.0/24" if number else ""
        made += ["-netdev", f"user,id=net{number},restrict=on{network}"]
        # Without a boot ROM, firmware does not try the network for minutes when the disks do not boot.
        card: Options = {"driver": _CARDS[machine.network_model], "netdev": f"net{number}", "mac": mac, "romfile": ""}
        made += [*ports.next(), *_option("-device", card | {"bus": ports.bus})]
    if any(disk.bus is TargetBus.SCSI for disk in machine.disks):
        made += [*ports.next(), *_option("-device", {"driver": "virtio-scsi-pci", "id": "scsi", "bus": ports.bus})]
    attached = dict.fromkeys(TargetBus, 0)
    for number, disk in enumerate(machine.disks):
        made += _option("-blockdev", disk.node | {"node-name": f"disk{number}"})
        made += _attach(disk, f"disk{number}", attached[disk.bus], ports)
        attached[disk.bus] += 1
    made += [*ports.next(), *_option("-device", {"driver": "virtio-rng-pci", "bus": ports.bus})]
    return made


def _attach(disk: BootDisk, node: str, unit: int, ports: "_Ports") -> Arguments:
    """The device of a disk, `unit` being its number on its bus."""
    device: Options = {"drive": node, "serial": disk.serial, "bootindex": disk.order}
    if disk.bus is TargetBus.VIRTIO:
        return [*ports.next(), *_option("-device", {"driver": "virtio-blk-pci", "bus": ports.bus} | device)]
    if disk.bus is TargetBus.SCSI:
        return _option("-device", {"driver": "scsi-hd", "bus": "scsi.0", "scsi-id": unit} | device)
    controller, port = divmod(unit, _SATA_PORTS)
    made = []
    if controller and port == 0:
        made = [*ports.next(), *_option("-device", {"driver": "ahci", "id": f"sata{controller}", "bus": ports.bus})]
    # The machine brings one controller along, whose ports are called ide.0 to ide.5.
    bus = f"ide.{port}" if controller == 0 else f"sata{controller}.{port}"
    return [*made, *_option("-device", {"driver": "ide-hd", "bus": bus} | device)]


class _Ports:
    """PCI Express root ports, eight to a slot of the root bus."""

    def __init__(self) -> None:
        self._count = 0

    @property
    def bus(self) -> str:
        """The bus below the port that was made last."""
        return f"port{self._count}"

    def next(self) -> Arguments:
        """Make a port."""
        slot, function = divmod(self._count, _FUNCTIONS)
        self._count += 1
        port: Options = {
            "driver": "pcie-root-port",
            "id": self.bus,
            "chassis": self._count,
            "bus": "pcie.0",
            "addr": f"{_PORT_SLOT + slot:x}.{function}",
            "multifunction": function == 0,
        }
        return _option("-device", port)


def _option(name: str, value: Mapping[str, object]) -> Arguments:
    return [name, json.dumps(value)]


def _escaped(path: Path) -> str:
    """A path in QEMU's key=value notation, in which a comma is doubled."""
    return str(path).replace(",", ",,")
