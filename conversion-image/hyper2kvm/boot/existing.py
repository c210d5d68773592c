"""The boot check of disks that are finished already, whoever made them."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from hyper2kvm.accelerator import proven
from hyper2kvm.boot.check import Candidate, boot
from hyper2kvm.boot.images import virtual_size
from hyper2kvm.disk.finished import TargetDisk, target_options
from hyper2kvm.disk.server import NbdServer
from hyper2kvm.events import Events
from hyper2kvm.guest.appliance import Appliance
from hyper2kvm.guest.description import Guest
from hyper2kvm.guest.inspection import inspect_guest
from hyper2kvm.sockets import socket_folder
from hyper2kvm.stages.documents import BootProof
from hyper2kvm.workspace import Workspace
from hyper2kvm_api.errors import SourceError
from hyper2kvm_api.machine import DiskBus, Machine, MachineDisk, Nic
from hyper2kvm_api.migration import Mode
from hyper2kvm_api.names import disk_serial
from hyper2kvm_api.options import Compression, DiskFormat, GuestOptions, MachineOptions, TargetBus, UnsupportedPolicy
from hyper2kvm_api.plan import Plan, PlannedBoot, PlannedDisk, PlannedSource
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.resolve import with_overrides

_MEMORY = 2 * 2**30


@dataclass(frozen=True)
class ExistingDisk:
    """A disk to start from.

    Attributes:
        path: the file or block device.
        format: its format; it is never guessed.
    """

    path: Path
    format: DiskFormat


def boot_disks(
    disks: Sequence[ExistingDisk],
    options: MachineOptions,
    workspace: Workspace,
    events: Events,
    *,
    bus: TargetBus = TargetBus.VIRTIO,
    timeout: int = 600,
    keys: Path | None = None,
) -> BootProof:
    """Start a machine from its disks, which are only read, with the same proof as VALIDATE's.

    Args:
        disks: all of the machine's disks in its order.
        options: its hardware; two gigabytes and one CPU when it does not say, the firmware that the disks are made for.
        workspace: keeps the evidence; the caller holds its lock.
        events: where progress goes.
        bus: what the disks hang on.
        timeout: seconds that the guest may take.
        keys: folder whose files are tried as keys of encrypted disks.

    Raises:
        SourceError: a disk is not there.
        ValidationError: BootFailed or BootTimedOut.
        GuestError, HostError: the disks cannot be looked into, or a program is missing.
    """
    plan = _plan(disks, options, bus, timeout, keys)
    targets = tuple(
        TargetDisk(disk.id, Path(disk.target), disk.format, disk.capacity, disk.bus, disk.serial) for disk in plan.disks
    )
    guest = _look(plan, targets, workspace, events)
    # What the user asks for by name is more than a default.
    memory = plan.machine.memory if options.memory else plan.boot.memory
    return boot(Candidate(plan.machine, targets, guest, timeout, keys, memory=memory), workspace, events)


def _plan(
    disks: Sequence[ExistingDisk], options: MachineOptions, bus: TargetBus, timeout: int, keys: Path | None
) -> Plan:
    sizes = [_size(disk) for disk in disks]
    machine = Machine(
        name=disks[0].path.stem,
        memory=_MEMORY,
        nics=(Nic(id="nic0"),),
        disks=tuple(
            MachineDisk(
                id=f"scsi0:{unit}",
                bus=DiskBus.SCSI,
                controller=0,
                unit=unit,
                capacity=size,
                format=str(disk.format),
                file=disk.path.name,
            )
            for unit, (disk, size) in enumerate(zip(disks, sizes, strict=True))
        ),
    )
    return Plan(
        name="boot",
        namespace="default",
        mode=Mode.PLAN,
        source=PlannedSource(path=str(disks[0].path.absolute())),
        machine=with_overrides(machine, options, machine.name),
        disks=tuple(
            PlannedDisk(
                id=known.id,
                capacity=known.capacity,
                target=str(disk.path.absolute()),
                format=disk.format,
                compression=Compression.NONE,
                bus=bus,
                serial=disk_serial(unit),
            )
            for unit, (disk, known) in enumerate(zip(disks, machine.disks, strict=True))
        ),
        guest=GuestOptions(when_unsupported=UnsupportedPolicy.COPY),
        keys_folder=str(keys.absolute()) if keys else None,
        boot=PlannedBoot(enabled=True, timeout=timeout),
    )


def _size(disk: ExistingDisk) -> int:
    if not (disk.path.is_file() or disk.path.is_block_device()):
        raise SourceError(Reason.SOURCE_NOT_FOUND, f"{disk.path} is neither a file nor a block device")
    return virtual_size(disk.path, disk.format)


def _look(plan: Plan, targets: Sequence[TargetDisk], workspace: Workspace, events: Events) -> Guest:
    """What is inside of the disks."""
    accelerator = proven()
    events.note(f"opening {len(targets)} disk(s) in the appliance ({accelerator})")
    with ExitStack() as stack:
        folder = stack.enter_context(socket_folder(workspace.scratch))
        sockets = [folder / f"disk{number}" for number in range(len(targets))]
        for target, socket in zip(targets, sockets, strict=True):
            log = workspace.scratch / f"{socket.name}.log"
            stack.enter_context(NbdServer(target_options(target), socket, writable=False, log=log))
        log = workspace.scratch / "appliance.log"
        appliance = stack.enter_context(Appliance(sockets, accelerator=accelerator, log=log, readonly=True))
        return inspect_guest(appliance, plan, events)
