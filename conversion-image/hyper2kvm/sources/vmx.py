"""A VMX folder: a virtual machine as VMware keeps it on a datastore.

Format: lines of `key = "value"`, in which a value of one word may stand without quotes; keys are caseless; `|22` in a value is the byte 0x22. VMware documents single keys only.
"""

import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from hyper2kvm.disk.formats.vmdk import plain_name
from hyper2kvm.disk.image import SourceDisk, examine_disk
from hyper2kvm.disk.location import beside
from hyper2kvm.events import Events
from hyper2kvm.sources.description import Fetched
from hyper2kvm.sources.folder import parts_of, read_text
from hyper2kvm.sources.limits import within_limits
from hyper2kvm.sources.place import Place, machine_disk
from hyper2kvm_api.errors import GuestError, SourceError
from hyper2kvm_api.machine import Cpu, DiskBus, Firmware, Machine, Nic
from hyper2kvm_api.migration import ImageFormat
from hyper2kvm_api.reasons import Reason

_LINE = re.compile(r'\s*([^\s=#][^\s=]*)\s*=\s*(?:"(.*)"|([^\s"]+))\s*')
_ESCAPE = re.compile(r"\|([0-9A-Fa-f]{2})")
_DISK = re.compile(r"(scsi|sata|ide|nvme)([0-9]):([0-9]|[1-9][0-9])\.filename")
_NIC = re.compile(r"ethernet([0-9]{1,2})\.present")
_BUSES = {"scsi": DiskBus.SCSI, "sata": DiskBus.SATA, "ide": DiskBus.IDE, "nvme": DiskBus.NVME}
_REMOVABLE = ("cdrom", "atapi")
_MAX_VMX = 1024 * 1024


class VmxFolder:
    """A virtual machine that a .vmx file describes."""

    def __init__(self, vmx: Path) -> None:
        """`vmx` is the file; its disks lie beside it."""
        self._vmx = vmx.absolute()

    def fetch(self, events: Events, stop: threading.Event) -> Fetched:  # noqa: ARG002 -- it takes no time
        """See Source."""
        with within_limits(self._vmx.name):
            return self._fetch(parse_vmx(read_text(str(self._vmx), _MAX_VMX), self._vmx.name))

    def _fetch(self, values: dict[str, str]) -> Fetched:
        if "encryption.data" in values:
            raise SourceError(
                Reason.MACHINE_DESCRIPTION_INVALID,
                f"{self._vmx.name} is encrypted",
                hint="Remove the encryption of the virtual machine at the source, then copy it again.",
                file=self._vmx.name,
            )
        state = values.get("checkpoint.vmstate")
        if state:
            raise GuestError(
                Reason.GUEST_HIBERNATED,
                f"the virtual machine is suspended: {state} holds its memory, and what is not yet on its disks",
                file=self._vmx.name,
            )
        disks = sorted(_disks(values), key=lambda disk: disk[0].rank)
        if not disks:
            raise _invalid(self._vmx.name, "it has no disk")
        sources = tuple(self._source(*disk) for disk in disks)
        machine = Machine(
            name=values.get("displayname") or self._vmx.stem,
            cpu=_cpu(values, self._vmx.name),
            memory=_number(values, "memsize", self._vmx.name) * 1024 * 1024,
            firmware=Firmware.UEFI if values.get("firmware", "bios").lower() == "efi" else Firmware.BIOS,
            secure_boot=_flag(values, "uefi.secureboot.enabled"),
            tpm=_flag(values, "vtpm.present"),
            guest_os=values.get("guestos"),
            uuid=_uuid(values.get("uuid.bios", "")),
            disks=tuple(
                machine_disk(place, source, file) for source, (place, file) in zip(sources, disks, strict=True)
            ),
            boot_order=_boot_order(values, [place.disk for place, _ in disks]),
            nics=tuple(_nics(values)),
        )
        paths = [str(self._vmx), *(path for source in sources for path in source.files)]
        return Fetched(machine=machine, disks=sources, parts=parts_of(paths))

    def _source(self, place: Place, file: str) -> SourceDisk:
        folder = str(self._vmx.parent)
        region = beside(folder, plain_name(file, self._vmx.name, "disk"), Reason.EXTENT_MISSING, "the disk")
        return examine_disk(place.disk, ImageFormat.VMDK, region, siblings=folder)


def parse_vmx(text: str, name: str) -> dict[str, str]:
    """The values of a VMX file, keys in lower case.

    Raises:
        SourceError: MachineDescriptionInvalid, when a line is not understood.
    """
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith(("#", "\ufeff#")):
            continue
        match = _LINE.fullmatch(line.removeprefix("\ufeff"))
        if match is None:
            raise _invalid(name, f"line {number} is not understood: {line.strip()[:60]!r}")
        values[match[1].lower()] = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), match[2] or match[3] or "")
    return values


def _disks(values: dict[str, str]) -> Iterator[tuple[Place, str]]:
    """Places of the disks, with the names of their files."""
    for key, file in values.items():
        match = _DISK.fullmatch(key)
        if match is None:
            continue
        place = key.removesuffix(".filename")
        bus, controller, unit = match.groups()
        kind = values.get(f"{place}.devicetype", "disk").lower()
        there = _flag(values, f"{place}.present", default=True) and _flag(
            values, f"{bus}{controller}.present", default=True
        )
        if there and not kind.startswith(_REMOVABLE) and not file.lower().endswith(".iso"):
            yield Place(_BUSES[bus], int(controller), int(unit)), file


def _boot_order(values: dict[str, str], disks: Sequence[str]) -> tuple[str, ...]:
    """`bios.hddOrder = "scsi0:1,scsi0:0"`: the disks in the order in which the firmware tries them."""
    named = [name.strip().lower() for name in values.get("bios.hddorder", "").split(",")]
    return tuple(dict.fromkeys(name for name in named if name in disks))


def _cpu(values: dict[str, str], name: str) -> Cpu:
    count = _number(values, "numvcpus", name, 1)
    cores = _number(values, "cpuid.corespersocket", name, 1)
    if cores == 0 or count % cores:
        return Cpu(sockets=count)
    return Cpu(sockets=count // cores, cores=cores)


def _nics(values: dict[str, str]) -> Iterator[Nic]:
    numbers = sorted(int(match[1]) for key in values if (match := _NIC.fullmatch(key)) and _flag(values, key))
    for number in numbers:
        prefix = f"ethernet{number}"
        static = values.get(f"{prefix}.addresstype", "").lower() == "static"
        mac = values.get(f"{prefix}.{'address' if static else 'generatedaddress'}", "").lower()
        slot = values.get(f"{prefix}.pcislotnumber", "")
        yield Nic(
            id=prefix,
            mac=mac if re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", mac) else None,
            model=values.get(f"{prefix}.virtualdev", "vlance").lower(),
            network=values.get(f"{prefix}.networkname") or values.get(f"{prefix}.connectiontype"),
            connected=_flag(values, f"{prefix}.startconnected", default=True),
            slot=int(slot) if re.fullmatch(r"[0-9]{1,9}", slot) else None,
        )


def _flag(values: dict[str, str], key: str, *, default: bool = False) -> bool:
    return values[key].lower() == "true" if key in values else default


def _number(values: dict[str, str], key: str, name: str, default: int | None = None) -> int:
    text = values.get(key)
    if text is None and default is not None:
        return default
    if text is None or not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
        raise _invalid(name, f"{key} is {text!r}")
    return int(text)


def _uuid(text: str) -> str | None:
    """`56 4d 8a 1b 2c 3d 4e 5f-60 71 82 93 a4 b5 c6 d7` as RFC 9562 writes it."""
    digits = re.sub(r"[ -]", "", text).lower()
    if not re.fullmatch(r"[0-9a-f]{32}", digits):
        return None
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _invalid(name: str, what: str) -> SourceError:
    return SourceError(Reason.MACHINE_DESCRIPTION_INVALID, f"{name}: {what}", file=name)
