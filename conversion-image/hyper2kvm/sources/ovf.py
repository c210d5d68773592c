"""OVF descriptors: what they say of a machine and its files.

Format: DMTF DSP0243 (OVF 1.1 and 2.0); CIM_ResourceAllocationSettingData for hardware. VMware's and VirtualBox's own
additions are read where the standard has no word for something: firmware, Secure Boot, PCI slots.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from hyper2kvm.sources.place import Place
from hyper2kvm_api.errors import SourceError
from hyper2kvm_api.machine import Cpu, DiskBus, Firmware, Nic
from hyper2kvm_api.reasons import Reason

MAX_OVF = 8 * 1024 * 1024
"""Bytes of a descriptor."""

_CPU, _MEMORY, _IDE, _SCSI, _NIC, _DISK, _STORAGE = 3, 4, 5, 6, 10, 17, 20
_ITEMS = {"Item", "StorageItem", "EthernetPortItem"}
_POWERS = {"kilobytes": 10, "kb": 10, "megabytes": 20, "mb": 20, "gigabytes": 30, "gb": 30, "terabytes": 40, "byte": 0}
_UNITS = re.compile(r"bytes?(?:\s*\*\s*(?:(2|10)\s*\^\s*([0-9]{1,2})|([0-9]{1,18})))?", re.IGNORECASE)
_MAC = re.compile(r"[0-9a-f]{2}([:-]?[0-9a-f]{2}){5}")


@dataclass(frozen=True)
class OvfFile:
    """A file that the descriptor refers to.

    Attributes:
        name: its plain name.
        size: bytes, when stated.
        compressed: whether it is compressed as a whole (`gzip`), or cut into chunks.
    """

    name: str
    size: int | None
    compressed: bool


@dataclass(frozen=True)
class OvfDisk:
    """A disk and its place.

    Attributes:
        place: where it hangs.
        capacity: virtual size in bytes.
        file: the file that holds it.
        instance: the descriptor's id of it.
    """

    place: Place
    capacity: int
    file: OvfFile
    instance: str


@dataclass(frozen=True)
class OvfMachine:
    """What a descriptor says of its virtual machine."""

    name: str
    cpu: Cpu
    memory: int
    firmware: Firmware | None
    secure_boot: bool
    tpm: bool
    guest_os: str | None
    disks: tuple[OvfDisk, ...]
    boot_order: tuple[str, ...]
    nics: tuple[Nic, ...]
    files: tuple[OvfFile, ...]


@dataclass(frozen=True)
class _Hardware:
    """One item of the hardware section: CIM's properties by name, and VMware's configuration."""

    kind: int
    values: Mapping[str, str]
    config: Mapping[str, str] = field(default_factory=dict)

    def number(self, name: str, default: int = 0) -> int:
        found = _whole(self.values.get(name, ""))
        return default if found is None else found


def parse_ovf(data: bytes, name: str) -> OvfMachine:
    """Read a descriptor.

    Args:
        data: the XML.
        name: the file, for messages.

    Raises:
        SourceError: MachineDescriptionInvalid, SourceAmbiguous or ArchiveUnsafe.
    """
    try:
        root = fromstring(data, forbid_dtd=True)
    except (ParseError, DefusedXmlException, LookupError, ValueError) as error:
        # Expat's binding has LookupError and ValueError for encodings that it does not know.
        raise _invalid(name, f"no well-formed XML without entities ({error!r:.120})") from None
    systems = list(_all(root, "VirtualSystem"))
    if len(systems) != 1:
        reason = Reason.SOURCE_AMBIGUOUS if systems else Reason.MACHINE_DESCRIPTION_INVALID
        raise SourceError(reason, f"{name} describes {len(systems)} virtual machines", file=name)
    system = systems[0]
    section = next(_all(system, "VirtualHardwareSection"), None)
    if section is None:
        raise _invalid(name, "it has no hardware section")
    configuration = _configuration(root)
    hardware = [_hardware(item) for item in section if _local(item) in _ITEMS and _counts(item, configuration)]
    config = _config(section)
    files = dict(_files(root, name))
    disks = _disks(root, hardware, files, name)
    return OvfMachine(
        name=_name(system),
        cpu=_cpu(hardware),
        memory=_memory(hardware, name),
        firmware=_firmware(config, system),
        secure_boot=_is_true(config.get("bootoptions.efisecurebootenabled") or config.get("uefi.secureboot.enabled")),
        tpm=any("vtpm" in item.values.get("ResourceSubType", "").lower() for item in hardware),
        guest_os=_guest_os(system),
        disks=disks,
        boot_order=_boot_order(system, disks),
        nics=tuple(_nic(item, number) for number, item in enumerate(i for i in hardware if i.kind == _NIC)),
        files=tuple(files.values()),
    )


def _configuration(root: Element) -> str | None:
    """The deployment option that counts: the default, else the first (DSP0243, section 9.9); None without options."""
    options = [
        _attributes(each)
        for section in _all(root, "DeploymentOptionSection")
        for each in _all(section, "Configuration")
    ]
    chosen = next((option for option in options if _is_true(option.get("default"))), options[0] if options else {})
    return chosen.get("id")


def _counts(item: Element, configuration: str | None) -> bool:
    """Whether an item is one of the machine's: of its deployment option, and no mere bound of a range of values."""
    values = _attributes(item)
    of = values.get("configuration", "").split()
    return (not of or configuration in of) and values.get("bound", "normal") == "normal"


def _boot_order(system: Element, disks: tuple[OvfDisk, ...]) -> tuple[str, ...]:
    """VMware's `vmw:BootOrderSection`, one a device: ids of the disks in the order in which the firmware tries them."""
    by_instance = {disk.instance: disk.place.disk for disk in disks}
    sections = (_attributes(section) for section in _all(system, "BootOrderSection"))
    named = [by_instance.get(values.get("instanceId", "")) for values in sections]
    return tuple(dict.fromkeys(disk for disk in named if disk is not None))


def _files(root: Element, name: str) -> Iterator[tuple[str, OvfFile]]:
    for element in (file for references in _all(root, "References") for file in _all(references, "File")):
        values = _attributes(element)
        href = unquote(values.get("href", ""))
        if "/" in href or "\\" in href or href in {"", ".", ".."} or ":" in href or not href.isprintable():
            raise SourceError(Reason.ARCHIVE_UNSAFE, f"{name} refers to {href!r}, which is no plain name", file=name)
        compressed = values.get("compression", "identity") not in {"", "identity"} or "chunkSize" in values
        yield values.get("id", ""), OvfFile(href, _whole(values.get("size", "")), compressed)


def _disks(root: Element, hardware: list[_Hardware], files: Mapping[str, OvfFile], name: str) -> tuple[OvfDisk, ...]:
    declared = {
        values.get("diskId", ""): values
        for section in _all(root, "DiskSection")
        for values in map(_attributes, _all(section, "Disk"))
    }
    controllers = _controllers(hardware)
    found = []
    for item in hardware:
        if item.kind != _DISK:
            continue
        reference = item.values.get("HostResource", "").rsplit("/", 1)[-1]
        values = declared.get(reference)
        if values is None:
            raise _invalid(name, f"a disk refers to {item.values.get('HostResource')!r}, which is not declared")
        if values.get("parentRef"):
            raise _invalid(name, f"the disk {reference} has a parent, which is not read in an OVF")
        file = files.get(values.get("fileRef", ""))
        if file is None:
            raise _invalid(name, f"the disk {reference} has no file: it would be empty")
        bus, controller = controllers.get(item.values.get("Parent", ""), (DiskBus.SCSI, 0))
        unit = item.number("AddressOnParent", item.number("Address"))
        capacity = _bytes(values.get("capacity", ""), values.get("capacityAllocationUnits", "byte"), name)
        found.append(OvfDisk(Place(bus, controller, unit), capacity, file, item.values.get("InstanceID", "")))
    if not found:
        raise _invalid(name, "it has no disk")
    if len({disk.place for disk in found}) != len(found):
        raise _invalid(name, "two disks have the same place on a controller")
    return tuple(found)


def _controllers(hardware: list[_Hardware]) -> dict[str, tuple[DiskBus, int]]:
    """Controllers by instance id: kind, and number among those of the kind in the order of their addresses."""
    kinds: dict[DiskBus, list[_Hardware]] = {}
    for item in hardware:
        bus = _bus(item)
        if bus is not None:
            kinds.setdefault(bus, []).append(item)
    return {
        item.values.get("InstanceID", ""): (bus, number)
        for bus, items in kinds.items()
        for number, item in enumerate(sorted(items, key=lambda each: each.number("Address")))
    }


def _bus(item: _Hardware) -> DiskBus | None:
    subtype = item.values.get("ResourceSubType", "").lower()
    if item.kind == _IDE:
        return DiskBus.IDE
    if item.kind == _SCSI:
        return DiskBus.SCSI
    if item.kind == _STORAGE:
        return DiskBus.NVME if "nvme" in subtype else DiskBus.SCSI if "virtio" in subtype else DiskBus.SATA
    return None


def _cpu(hardware: list[_Hardware]) -> Cpu:
    item = next((i for i in hardware if i.kind == _CPU), None)
    count = max(1, item.number("VirtualQuantity", 1)) if item else 1
    cores = item.number("CoresPerSocket", 1) if item else 1
    return Cpu(sockets=count // cores, cores=cores) if cores and count % cores == 0 else Cpu(sockets=count)


def _memory(hardware: list[_Hardware], name: str) -> int:
    item = next((i for i in hardware if i.kind == _MEMORY), None)
    if item is None:
        raise _invalid(name, "it states no memory")
    return _bytes(item.values.get("VirtualQuantity", ""), item.values.get("AllocationUnits", "byte * 2^20"), name)


def _nic(item: _Hardware, number: int) -> Nic:
    mac = item.values.get("Address", "").lower()
    digits = re.sub(r"[:-]", "", mac) if _MAC.fullmatch(mac) else ""
    return Nic(
        id=f"ethernet{number}",
        mac=":".join(digits[n : n + 2] for n in range(0, 12, 2)) if digits else None,
        model=item.values.get("ResourceSubType", "").lower() or None,
        network=item.values.get("Connection") or None,
        connected=item.values.get("AutomaticAllocation", "true").lower() != "false",
        slot=_whole(item.config.get("slotinfo.pcislotnumber", "")),
    )


def _firmware(config: Mapping[str, str], system: Element) -> Firmware | None:
    """None where the descriptor does not say: the guest's disks decide then. VirtualBox says nothing of BIOS."""
    virtualbox = next((_attributes(each).get("type", "") for each in _all(system, "Firmware")), "")
    told = config.get("firmware") or virtualbox
    if told:
        return Firmware.UEFI if told.lower().startswith("efi") else Firmware.BIOS
    return None if next(_all(system, "Machine"), None) is None else Firmware.BIOS


def _guest_os(system: Element) -> str | None:
    section = next(_all(system, "OperatingSystemSection"), None)
    if section is None:
        return None
    return _attributes(section).get("osType") or next((_text(e) for e in _all(section, "Description")), None)


def _name(system: Element) -> str:
    told = next((_text(element) for element in system if _local(element) == "Name"), "")
    return (told or _attributes(system).get("id", "") or "vm")[:253]


def _hardware(item: Element) -> _Hardware:
    values = {_local(child): _text(child) for child in item if _local(child) not in {"Config", "ExtraConfig"}}
    return _Hardware(_whole(values.get("ResourceType", "")) or 0, values, _config(item))


def _config(element: Element) -> dict[str, str]:
    """VMware's `vmw:Config` and `vmw:ExtraConfig`: keys in lower case."""
    pairs = (_attributes(child) for child in element if _local(child) in {"Config", "ExtraConfig"})
    return {pair.get("key", "").lower(): pair.get("value", "") for pair in pairs}


def _bytes(quantity: str, units: str, name: str) -> int:
    """A quantity in CIM's units: `byte * 2^20`, or the words that older exports use (`MegaBytes`)."""
    match = _UNITS.fullmatch(units.strip())
    number = _whole(quantity)
    if not number:
        raise _invalid(name, f"a size of {quantity:.40} {units:.40}")
    if match is not None and match[3]:
        return number * int(match[3])
    if match is not None:
        factor: int = int(match[1] or 2) ** int(match[2] or 0)
        return number * factor
    power = _POWERS.get(units.strip().lower())
    if power is None:
        raise _invalid(name, f"the unit {units:.40} is not known")
    return number << power


def _whole(text: str) -> int | None:
    """A number of at most 18 digits."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def _is_true(text: str | None) -> bool:
    return (text or "").lower() == "true"


def _all(element: Element, local: str) -> Iterator[Element]:
    return (child for child in element.iter() if _local(child) == local)


def _local(element: Element) -> str:
    """The tag without its namespace: exporters differ in versions of namespaces, not in names."""
    return str(element.tag).rpartition("}")[2]


def _attributes(element: Element) -> dict[str, str]:
    return {str(key).rpartition("}")[2]: value for key, value in element.attrib.items()}


def _text(element: Element) -> str:
    return (element.text or "").strip()


def _invalid(name: str, what: str) -> SourceError:
    return SourceError(Reason.MACHINE_DESCRIPTION_INVALID, f"{name}: {what}", file=name)
