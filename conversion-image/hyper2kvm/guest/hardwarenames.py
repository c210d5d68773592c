"""Names of disks that come from the hardware: the kernel's letters, and udev's links by path and by id.

The forms of the links are those of systemd's udev-builtin-path_id.c and 60-persistent-storage.rules; the serial
numbers in them are what the hypervisors' virtual disks report.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hyper2kvm_api.machine import DiskBus, Machine, MachineDisk

_SCSI_LIKE = frozenset({DiskBus.SCSI, DiskBus.SATA, DiskBus.IDE})
"""Buses whose disks Linux calls sda, sdb, …: IDE too, since libata (Linux 2.6.19)."""

_IDE_CHANNEL = 2
"""Disks that an IDE channel takes; hda and hdb are on the first."""

Disks = Sequence[MachineDisk]


@dataclass(frozen=True)
class HardwareName:
    """What a name says.

    Attributes:
        disks: the machine's disks that it may mean: none, one, or several where the machine's description is too coarse.
        partition: number of the partition; None for the whole disk.
    """

    disks: tuple[MachineDisk, ...]
    partition: int | None


@dataclass(frozen=True)
class _Form:
    pattern: re.Pattern[str]
    disks: Callable[[re.Match[str], Machine], Disks]


def read(name: str, machine: Machine) -> HardwareName | None:
    """What a name means on a machine; None for a name that has another form, and so does not come from the hardware."""
    for form in _FORMS:
        match = form.pattern.fullmatch(name)
        if match:
            part = match["part"]
            return HardwareName(tuple(form.disks(match, machine)), int(part) if part else None)
    return None


def _on(machine: Machine, *buses: DiskBus) -> list[MachineDisk]:
    return [disk for disk in machine.disks if disk.bus in buses]


def _at(disks: Disks, index: int) -> Disks:
    return disks[index : index + 1]


def _index(letters: str) -> int:
    """Number of a disk by its letters (Linux, drivers/scsi/sd.c): `a` is 0, `z` is 25, `aa` is 26."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("a") + 1
    return number - 1


def _sd(match: re.Match[str], machine: Machine) -> Disks:
    return _at(_on(machine, *_SCSI_LIKE), _index(match["letters"]))


def _hd(match: re.Match[str], machine: Machine) -> Disks:
    index, channels = _index(match["letters"]), _on(machine, DiskBus.IDE)
    if not channels:
        return _at(machine.disks, index)
    return [disk for disk in channels if disk.controller * _IDE_CHANNEL + disk.unit == index]


def _paravirtual(match: re.Match[str], machine: Machine) -> Disks:
    return _at(_on(machine, DiskBus.VIRTIO) or machine.disks, _index(match["letters"]))


def _nvme(match: re.Match[str], machine: Machine) -> Disks:
    return [
        disk
        for disk in _on(machine, DiskBus.NVME)
        if disk.controller == int(match["controller"] or 0) and disk.unit == int(match["namespace"] or 1) - 1
    ]


def _nvme_path(match: re.Match[str], machine: Machine) -> Disks:
    return [disk for disk in _on(machine, DiskBus.NVME) if disk.unit == int(match["namespace"]) - 1]


def _scsi_unit(match: re.Match[str], machine: Machine) -> Disks:
    return [disk for disk in _on(machine, DiskBus.SCSI) if disk.unit == int(match["unit"])]


def _scsi_path(match: re.Match[str], machine: Machine) -> Disks:
    if _on(machine, DiskBus.SCSI):
        return _scsi_unit(match, machine)
    # Before systemd 189, ATA disks had such names too: the host number is that of the port.
    port, unit = int(match["host"]), int(match["unit"])
    return [*_sata_port(machine, port), *_ide_place(machine, port, unit)]


def _ata_path(match: re.Match[str], machine: Machine) -> Disks:
    port, unit = int(match["port"]) - 1, int(match["unit"] or 0)
    return [*_sata_port(machine, port), *_ide_place(machine, port, unit)]


def _vmware_ata(match: re.Match[str], machine: Machine) -> Disks:
    """VMware numbers its ATA disks 00000000000000000001, 01000000000000000001 …: channel and unit, or SATA's unit."""
    channel, unit = int(match["channel"]), int(match["unit"])
    return [*_sata_port(machine, channel * 10 + unit), *_ide_place(machine, channel, unit)]


def _sata_port(machine: Machine, port: int) -> Disks:
    return [disk for disk in _on(machine, DiskBus.SATA) if disk.unit == port]


def _ide_place(machine: Machine, channel: int, unit: int) -> Disks:
    return [disk for disk in _on(machine, DiskBus.IDE) if (disk.controller, disk.unit) == (channel, unit)]


def _world_wide(match: re.Match[str], machine: Machine) -> Disks:
    """By the world-wide name at the end; a disk whose name is not known may be meant when no other is."""
    said = match["serial"].lower()
    named = [disk for disk in machine.disks if disk.wwn and said.endswith(disk.wwn)]
    return named or [disk for disk in _on(machine, *_SCSI_LIKE) if disk.wwn is None]


def _unnumbered(*buses: DiskBus) -> Callable[[re.Match[str], Machine], Disks]:
    return lambda _, machine: _on(machine, *buses)


def _form(pattern: str, disks: Callable[[re.Match[str], Machine], Disks]) -> _Form:
    return _Form(re.compile(pattern), disks)


_PATH, _ID, _PART = "/dev/disk/by-path/", "/dev/disk/by-id/", r"(?:-part(?P<part>\d{1,3}))?"

_FORMS = (
    _form(r"/dev/sd(?P<letters>[a-z]{1,3})(?P<part>\d{1,3})?", _sd),
    _form(r"/dev/hd(?P<letters>[a-z])(?P<part>\d{1,3})?", _hd),
    _form(r"/dev/x?vd(?P<letters>[a-z]{1,3})(?P<part>\d{1,3})?", _paravirtual),
    _form(r"/dev/nvme(?P<controller>\d{1,3})n(?P<namespace>\d{1,3})(?:p(?P<part>\d{1,3}))?", _nvme),
    # Hyper-V has one target a controller, and its disks are logical units.
    _form(rf"{_PATH}acpi-\S*-vmbus-\S*-lun-(?P<unit>\d{{1,3}}){_PART}", _scsi_unit),
    _form(rf"{_PATH}acpi-\S*-scsi-(?P<host>\d+):\d+:\d+:(?P<unit>\d{{1,3}}){_PART}", _scsi_path),
    _form(rf"{_PATH}pci-\S*-scsi-(?P<host>\d{{1,3}}):\d+:(?P<unit>\d{{1,3}}):\d+{_PART}", _scsi_path),
    _form(rf"{_PATH}pci-\S*-sas-(?:\S*-)?phy(?P<unit>\d{{1,3}})-lun-\d+{_PART}", _scsi_unit),
    _form(rf"{_PATH}pci-\S*-sas-0x(?P<serial>[0-9a-fA-F]+)-lun-\d+{_PART}", _world_wide),
    _form(rf"{_PATH}pci-\S*-ata-(?P<port>\d{{1,3}})(?:\.(?P<unit>\d))?{_PART}", _ata_path),
    _form(rf"{_PATH}pci-\S*-nvme-(?P<namespace>\d{{1,3}}){_PART}", _nvme_path),
    _form(rf"{_PATH}(?:virtio-)?pci-[0-9a-f:.]+{_PART}", _unnumbered(DiskBus.VIRTIO)),
    _form(rf"{_ID}(?:ata|scsi)-\S*VMware_\S*_(?P<channel>\d)(?P<unit>\d)\d{{17}}1{_PART}", _vmware_ata),
    _form(
        rf"{_ID}nvme-VMware_\S*_NVME_(?P<controller>\d{{4}})(?:_(?P<namespace>\d{{1,3}}))?{_PART}",
        _nvme,
    ),
    _form(rf"{_ID}wwn-0x(?P<serial>[0-9a-fA-F]+){_PART}", _world_wide),
    _form(rf"{_ID}scsi-(?P<serial>\S+?){_PART}", _world_wide),
    _form(rf"{_ID}ata-\S+?{_PART}", _unnumbered(DiskBus.SATA, DiskBus.IDE)),
    _form(rf"{_ID}nvme-\S+?{_PART}", _unnumbered(DiskBus.NVME)),
    _form(rf"{_ID}virtio-\S+?{_PART}", _unnumbered(DiskBus.VIRTIO)),
)
"""Forms of names, the narrower ones first. The group `part` is the partition."""
