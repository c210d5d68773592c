"""The table of a guest's block devices, by what blkid(8) finds on them in the appliance."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hyper2kvm.guest.description import BlockDevice
from hyper2kvm.guest.handle import Handle, appliance_failed, guarded
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason

MAX_DEVICES = 512
"""Devices that are looked at; each takes a quarter of a second under emulation."""

SECTOR = 512
"""Bytes in which blkid counts, whatever the disk's own sectors have."""

UNKNOWN = "unknown"
_EXTENDED = frozenset({"5", "f", "85"})
"""MBR types of partitions that only hold others."""

_ESCAPED = re.compile(r"\\(.)")
_NUMBER = re.compile(r"\d+$")


@dataclass
class Probes:
    """What was found on devices so far, so that a second look after unlocking one costs nothing for the others.

    Attributes:
        found: blkid's values by device.
        origins: the device that an unlocked one is on.
        uuids: UUIDs of volume groups and of logical volumes, by name; None where LVM states none.
    """

    found: dict[str, Mapping[str, str]] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    uuids: dict[str, str | None] = field(default_factory=dict)


def scan(handle: Handle, disks: Sequence[str], probes: Probes) -> tuple[BlockDevice, ...]:
    """Whole disks with content, partitions, RAIDs, unlocked devices and logical volumes.

    Args:
        handle: an appliance with the disks in the machine's order.
        disks: their ids.
        probes: what is known already; it is added to.

    Raises:
        HostError: ApplianceFailed.
    """
    with guarded(handle, appliance_failed):
        return tuple(_Scan(handle, disks, probes).devices())


def described(
    device: str, found: Mapping[str, str], size: int, *, disk: str | None, partition: int | None = None
) -> BlockDevice:
    """A device from blkid's values."""

    def value(name: str) -> str | None:
        return _ESCAPED.sub(r"\1", found.get(name, "")) or None

    part_type = (value("PART_ENTRY_TYPE") or "").lower().removeprefix("0x")
    return BlockDevice(
        device=device,
        disk=disk,
        partition=partition,
        type=value("TYPE") or UNKNOWN,
        uuid=value("UUID"),
        label=value("LABEL"),
        part_uuid=value("PART_ENTRY_UUID") if partition is not None else None,
        part_label=value("PART_ENTRY_NAME") if partition is not None else None,
        part_type=part_type if partition is not None and part_type else None,
        size=size,
    )


class _Scan:
    def __init__(self, handle: Handle, disks: Sequence[str], probes: Probes) -> None:
        self._handle = handle
        self._probes = probes
        names = handle.list_devices()
        if len(names) != len(disks):
            raise HostError(Reason.APPLIANCE_FAILED, f"the appliance has {len(names)} disks in place of {len(disks)}")
        self._disks: dict[str, str | None] = dict(zip(names, disks, strict=True))
        self._wholes = tuple(names)

    def devices(self) -> Iterator[BlockDevice]:
        partitions = self._handle.list_partitions()
        _check_count(partitions)
        parents = {partition: self._handle.part_to_dev(partition) for partition in partitions}
        yield from self._described_wholes(frozenset(parents.values()))
        for partition, parent in parents.items():
            yield from self._described_partition(partition, parent)
        raids = self._handle.list_md_devices()
        unlocked = self._handle.list_dm_devices()
        _check_count([*raids, *unlocked])
        for device in raids:
            detail = self._handle.md_detail(device)
            found = self._described(device, self._disk_of(None))
            yield found.replaced(raid_uuid=detail.get("uuid"), raid_name=detail.get("name"))
        for device in unlocked:
            yield self._described_unlocked(device)
        yield from self._described_volumes()

    def _described_wholes(self, divided: frozenset[str]) -> Iterator[BlockDevice]:
        for device in self._wholes:
            if device not in divided and "TYPE" in self._probe(device):
                yield self._described(device, self._disks[device])

    def _described_partition(self, partition: str, parent: str) -> Iterator[BlockDevice]:
        disk = self._disk_of(parent)
        self._disks[partition] = disk
        digits = _NUMBER.search(partition)
        found = described(
            partition,
            self._probe(partition),
            self._size(partition),
            disk=disk,
            partition=int(digits[0]) if digits else None,
        )
        if found.part_type not in _EXTENDED:
            yield found

    def _described_unlocked(self, device: str) -> BlockDevice:
        origin = self._probes.origins.get(device)
        luks_uuid = self._probe(origin).get("UUID") if origin else None
        return self._described(device, self._disk_of(origin)).replaced(luks_uuid=luks_uuid)

    def _described_volumes(self) -> Iterator[BlockDevice]:
        volumes = self._handle.lvs()
        _check_count(volumes)
        on_disk = self._disk_of_groups() if volumes else {}
        for volume in volumes:
            group = volume.split("/")[2]
            of_group, own = self._uuid(group, self._handle.vguuid), self._uuid(volume, self._handle.lvuuid)
            found = self._described(volume, on_disk.get(group))
            yield found.replaced(volume_uuid=f"{of_group}{own}" if of_group and own else None)

    def _disk_of_groups(self) -> dict[str, str | None]:
        """The disk of each volume group that is on one alone."""
        if len(self._wholes) == 1:
            return dict.fromkeys(self._handle.vgs(), self._disks[self._wholes[0]])
        by_uuid = {found["UUID"]: device for device, found in self._probes.found.items() if "UUID" in found}
        return {
            group: _the_one(self._disk_of(by_uuid.get(uuid)) for uuid in self._handle.vgpvuuids(group))
            for group in self._handle.vgs()
        }

    def _described(self, device: str, disk: str | None) -> BlockDevice:
        self._disks[device] = disk
        return described(device, self._probe(device), self._size(device), disk=disk)

    def _disk_of(self, device: str | None) -> str | None:
        """The machine's disk under a device; of a RAID none, unless there is only one."""
        if len(self._wholes) == 1:
            return self._disks[self._wholes[0]]
        return self._disks.get(device) if device else None

    def _probe(self, device: str) -> Mapping[str, str]:
        if device not in self._probes.found:
            self._probes.found[device] = _blkid(self._handle, device)
        return self._probes.found[device]

    def _uuid(self, name: str, ask: Callable[[str], str]) -> str | None:
        """UUID of a volume group or a logical volume, without hyphens; None as where two groups have one name."""
        if name not in self._probes.uuids:
            try:
                self._probes.uuids[name] = ask(name).replace("-", "")
            except RuntimeError:
                if not self._handle.is_ready():
                    raise
                self._probes.uuids[name] = None
        return self._probes.uuids[name]

    def _size(self, device: str) -> int:
        sectors = self._probe(device).get("PART_ENTRY_SIZE", "")
        return int(sectors) * SECTOR if sectors.isdecimal() else self._handle.blockdev_getsize64(device)


def _blkid(handle: Handle, device: str) -> Mapping[str, str]:
    """Nothing for a device without a signature that blkid knows, or with several that contradict each other."""
    try:
        return handle.blkid(device)
    except UnicodeDecodeError:
        return {}
    except RuntimeError:
        if not handle.is_ready():
            raise
        return {}


def _the_one(disks: Iterable[str | None]) -> str | None:
    different = set(disks)
    return different.pop() if len(different) == 1 else None


def _check_count(devices: Sequence[str]) -> None:
    if len(devices) > MAX_DEVICES:
        raise HostError(
            Reason.APPLIANCE_FAILED,
            f"the disks hold {len(devices)} partitions or volumes, more than {MAX_DEVICES}",
            hint="To copy the disks as they are set spec.guest.whenUnsupported: Copy.",
        )
