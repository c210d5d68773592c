"""A VMware guest on its way to virtio, as fixers are given it, and what their plans must all have in common."""

import copy
from collections.abc import Iterable, Mapping

from hyper2kvm.guest.description import BlockDevice, Family, Guest, Kernel, Mount, OperatingSystem
from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.edits import EditKind
from hyper2kvm.guest.files import WritableGuest
from hyper2kvm.guest.fixer import Fixer, Situation
from hyper2kvm_api.machine import DiskBus, Firmware, Machine, MachineDisk, Nic
from hyper2kvm_api.options import Compression, DiskFormat, GuestOptions, TargetBus
from hyper2kvm_api.plan import PlannedDisk
from lab.memoryguest import MemoryGuest

GIB = 1 << 30
ROOT = "6f1b7a1e-1111-4222-8333-000000000001"
SWAP = "6f1b7a1e-1111-4222-8333-000000000005"
DATA = "6f1b7a1e-1111-4222-8333-0000000000b1"
BY_PATH = "/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:{}:0-part{}"


def memory(files: Mapping[str, bytes | str], links: Mapping[str, str] | None = None) -> MemoryGuest:
    """A guest of these files and links."""
    return MemoryGuest(files, links)


def device(name: str, disk: str, partition: int, **values: object) -> BlockDevice:
    return BlockDevice(device=name, disk=disk, partition=partition, size=GIB, **{"type": "ext4", **values})


DEVICES = (
    device("/dev/sda1", "scsi0:0", 1, uuid=ROOT, part_uuid="0000aaaa-01"),
    device("/dev/sda5", "scsi0:0", 5, type="swap", uuid=SWAP, part_uuid="0000aaaa-05"),
    device("/dev/sda6", "scsi0:0", 6, type="unknown", part_uuid="0000aaaa-06"),
    device("/dev/sdb1", "scsi0:1", 1, uuid=DATA, part_uuid="0000bbbb-01"),
    device("/dev/sdb2", "scsi0:1", 2, type="unknown"),
)
NICS = (
    Nic(id="ethernet0", mac="00:50:56:aa:00:01", model="vmxnet3", slot=192),
    Nic(id="ethernet1", mac="00:50:56:aa:00:02", model="vmxnet3", slot=224),
)


def situation(
    *,
    bus: TargetBus = TargetBus.VIRTIO,
    kernels: Iterable[Kernel] = (),
    nics: tuple[Nic, ...] = NICS[:1],
    firmware: Firmware = Firmware.BIOS,
    mounts: tuple[Mount, ...] = (),
    root: str | None = "/dev/sda1",
    root_name: str | None = None,
    system: str = "debian",
    init: str = "systemd",
    architecture: str = "x86_64",
    options: GuestOptions | None = None,
    made_up: Iterable[str] = (),
) -> Situation:
    disks = tuple(
        MachineDisk(
            id=f"scsi0:{unit}",
            bus=DiskBus.SCSI,
            controller=0,
            unit=unit,
            capacity=8 * GIB,
            format="vmdk",
            file=f"{unit}.vmdk",
        )
        for unit in range(2)
    )
    planned = tuple(
        PlannedDisk(
            id=disk.id,
            capacity=disk.capacity,
            target=f"/out/{disk.unit}.img",
            format=DiskFormat.RAW,
            compression=Compression.NONE,
            bus=bus,
            serial=f"h2kvm0000disk{disk.unit}",
        )
        for disk in disks
    )
    found = OperatingSystem(
        family=Family.DEBIAN, id=system, version="12", name="Debian GNU/Linux 12", architecture=architecture, init=init
    )
    guest = Guest(
        os=found,
        root=root,
        root_name=root_name,
        boot_disk="scsi0:0",
        firmware=firmware,
        devices=DEVICES,
        mounts=mounts,
        kernels=tuple(kernels),
    )
    machine = Machine(name="web01", memory=GIB, disks=disks, nics=nics)
    return Situation(
        guest=guest, machine=machine, disks=planned, options=options or GuestOptions(), made_up=frozenset(made_up)
    )


def apply(draft: Draft, guest: MemoryGuest) -> MemoryGuest:
    """The guest with a draft's edits made, in a copy."""
    changed = copy.deepcopy(guest)
    apply_here(draft, changed)
    return changed


def apply_here(draft: Draft, guest: WritableGuest) -> None:
    """Make a draft's edits."""
    for edit in draft.edits():
        if edit.kind is EditKind.WRITE:
            guest.write(edit.path, edit.content, edit.mode)
        elif edit.kind is EditKind.APPEND:
            guest.append(edit.path, edit.content)
        elif edit.kind is EditKind.LINK:
            guest.link(edit.path, edit.target or "")
        else:
            guest.remove(edit.path)


def plan(fixer: Fixer, guest: MemoryGuest, given: Situation | None = None) -> Draft:
    """A fixer's plan. Whatever the guest, each edit has a sentence, and a second plan after the first has no edit."""
    given = given or situation()
    draft = Draft(guest)
    fixer.plan(draft, given)
    again = Draft(apply(draft, guest))
    fixer.plan(again, given)
    assert again.edits() == ()
    assert all(reason and "\n" not in reason for edit in draft.edits() for reason in edit.reasons)
    return draft
