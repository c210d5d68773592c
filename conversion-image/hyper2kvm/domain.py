"""The libvirt domain of a migrated machine (https://libvirt.org/formatdomain.html): what `virsh define` takes. Pure."""

import uuid
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

from hyper2kvm.boot.qemu import system_uuid
from hyper2kvm_api.machine import Firmware, Machine
from hyper2kvm_api.options import NicModel, TargetBus
from hyper2kvm_api.plan import PlannedDisk

NETWORK = "default"
"""The network that libvirt sets up when it is installed. Which one is right is known on the target host only."""

_NAMESPACE = uuid.UUID("5d3c8a52-1d0b-4a5e-9c5e-6a4d3c1f0b77")
_TARGET_PREFIX = {TargetBus.VIRTIO: "vd", TargetBus.SCSI: "sd", TargetBus.SATA: "sd"}
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class DomainDisk:
    """A disk of the domain.

    Attributes:
        planned: target, format, bus and serial.
        block: whether the target is a block device.
    """

    planned: PlannedDisk
    block: bool


def domain_xml(
    name: str,
    machine: Machine,
    firmware: Firmware,
    boot_disk: str | None,
    disks: tuple[DomainDisk, ...],
    network_model: NicModel = NicModel.VIRTIO,
) -> str:
    """The domain as XML.

    Args:
        name: name of the domain; also what its UUID is made from when the machine has none.
        machine: the hardware.
        firmware: the firmware that the disks are made for.
        boot_disk: id of the disk that is started first; the first one when None.
        disks: the disks in the machine's order.
        network_model: model of the network adapters.
    """
    domain = Element("domain", type="kvm")
    _add(domain, "name", name)
    _add(domain, "uuid", system_uuid(machine) or str(uuid.uuid5(_NAMESPACE, name)))
    _add(domain, "title", _printable(machine.name))
    _add(domain, "memory", str(machine.memory), unit="bytes")
    _add(domain, "vcpu", str(machine.cpu.count), placement="static")
    _firmware(domain, firmware, secure_boot=machine.secure_boot)
    _processor(domain, machine)
    _clock(domain)
    for event, action in (("on_poweroff", "destroy"), ("on_reboot", "restart"), ("on_crash", "destroy")):
        _add(domain, event, action)
    devices = _add(domain, "devices")
    _disks(devices, boot_disk, disks)
    _networks(devices, machine, network_model)
    _consoles(devices)
    if machine.tpm:
        _add(_add(devices, "tpm", model="tpm-crb"), "backend", type="emulator", version="2.0")
    ET.indent(domain)
    return ET.tostring(domain, encoding="unicode") + "\n"


def _firmware(domain: Element, firmware: Firmware, *, secure_boot: bool) -> None:
    """The firmware's files are chosen by libvirt, by these features (libvirt 7.2 and later)."""
    secure = firmware is Firmware.UEFI and secure_boot
    system = _add(domain, "os", **({"firmware": "efi"} if firmware is Firmware.UEFI else {}))
    _add(system, "type", "hvm", arch="x86_64", machine="q35")
    if firmware is Firmware.UEFI:
        choice = _add(system, "firmware")
        for feature in ("secure-boot", "enrolled-keys"):
            _add(choice, "feature", enabled="yes" if secure else "no", name=feature)
    features = _add(domain, "features")
    _add(features, "acpi")
    _add(features, "apic")
    if secure:
        _add(features, "smm", state="on")


def _processor(domain: Element, machine: Machine) -> None:
    """`host-model` is the nearest model that libvirt knows by name: fast, and it can still migrate between hosts."""
    cpu = _add(domain, "cpu", mode="host-model", check="partial")
    grouped = machine.cpu
    _add(cpu, "topology", sockets=str(grouped.sockets), cores=str(grouped.cores), threads=str(grouped.threads))


def _clock(domain: Element) -> None:
    clock = _add(domain, "clock", offset="utc")
    _add(clock, "timer", name="rtc", tickpolicy="catchup")
    _add(clock, "timer", name="pit", tickpolicy="delay")
    _add(clock, "timer", name="hpet", present="no")


def _disks(devices: Element, boot_disk: str | None, disks: tuple[DomainDisk, ...]) -> None:
    ordered = sorted(disks, key=lambda disk: disk.planned.id != boot_disk)
    used: dict[str, int] = {}
    for disk in disks:
        planned = disk.planned
        prefix = _TARGET_PREFIX[planned.bus]
        made = _add(devices, "disk", type="block" if disk.block else "file", device="disk")
        _add(made, "driver", name="qemu", type=str(planned.format), discard="unmap")
        _add(made, "source", **{"dev" if disk.block else "file": planned.target})
        _add(made, "target", dev=prefix + _letters(used.get(prefix, 0)), bus=str(planned.bus))
        _add(made, "serial", planned.serial)
        _add(made, "boot", order=str(ordered.index(disk) + 1))
        used[prefix] = used.get(prefix, 0) + 1
    if any(disk.planned.bus is TargetBus.SCSI for disk in disks):
        _add(devices, "controller", type="scsi", index="0", model="virtio-scsi")


def _networks(devices: Element, machine: Machine, model: NicModel) -> None:
    for nic in machine.nics:
        interface = _add(devices, "interface", type="network")
        if nic.mac:
            _add(interface, "mac", address=nic.mac.lower())
        _add(interface, "source", network=NETWORK)
        _add(interface, "model", type=str(model))
        if not nic.connected:
            _add(interface, "link", state="down")


def _consoles(devices: Element) -> None:
    """A serial port, and a plain VGA: every system has a driver for it, and KubeVirt gives the same."""
    _add(_add(devices, "serial", type="pty"), "target", type="isa-serial", port="0")
    _add(_add(devices, "console", type="pty"), "target", type="serial", port="0")
    agent = _add(devices, "channel", type="unix")
    _add(agent, "target", type="virtio", name="org.qemu.guest_agent.0")
    _add(devices, "input", type="tablet", bus="usb")
    _add(devices, "graphics", type="vnc", port="-1", autoport="yes", listen="127.0.0.1")
    _add(_add(devices, "video"), "model", type="vga")
    _add(devices, "memballoon", model="virtio")
    _add(_add(devices, "rng", model="virtio"), "backend", "/dev/urandom", model="random")


def _letters(number: int) -> str:
    """`a` to `z`, then `aa`, as the kernel names disks."""
    name = ""
    number += 1
    while number:
        number, letter = divmod(number - 1, len(_LETTERS))
        name = _LETTERS[letter] + name
    return name


def _printable(text: str) -> str:
    """Text without what XML forbids (control characters) and what libvirt forbids in a title (line breaks)."""
    return "".join(c if c.isprintable() else " " for c in text)


def _add(parent: Element, tag: str, text: str | None = None, **attributes: str) -> Element:
    child = SubElement(parent, tag, attributes)
    child.text = text
    return child
