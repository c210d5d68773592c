"""Opening targets: a file under its provisional name, or a block device; new, or where an earlier run left it."""

import hashlib
import os
import stat
from contextlib import closing
from itertools import islice
from pathlib import Path

from hyper2kvm.disk.chunks import CHUNK, chunk_length
from hyper2kvm.disk.journal import Claim, Journal
from hyper2kvm.disk.targets.qcow2 import COMPRESSORS, Qcow2Target
from hyper2kvm.disk.targets.raw import RawTarget
from hyper2kvm.disk.targets.storage import Storage
from hyper2kvm.disk.targets.target import Target
from hyper2kvm.disk.targets.vdi import VdiTarget
from hyper2kvm.workspace import digest
from hyper2kvm_api.errors import TargetError
from hyper2kvm_api.options import Compression, DiskFormat
from hyper2kvm_api.plan import PlannedDisk
from hyper2kvm_api.reasons import Reason

_MODE = 0o660
"""Less the umask. Never for others: a disk holds secrets."""

_NO_INODE = 0
"""Of devices: the number of a device's node says nothing of the storage behind it."""

_PROOFS = 4
"""Chunks of a device that are read before a copy goes on there."""

_TRACES = 256
"""Chunks of a finished disk that are looked for on its device before it counts as another one."""


def provisional(target: Path) -> Path:
    """The name that a target has until it is complete and verified."""
    return target.with_name(f".{target.name}.partial")


def refuse_existing(disk: PlannedDisk) -> None:
    """Raise TargetError (TargetExists) when a file target's final name is taken."""
    target = Path(disk.target)
    if os.path.lexists(target) and not target.is_block_device():
        raise TargetError(Reason.TARGET_EXISTS, f"{target} exists", disk=disk.id)


def refuse_replaced(disk: PlannedDisk, journal: Path) -> None:
    """Raise TargetError (TargetPublished) when nothing of a finished disk is on its block device.

    Then it is another device, such as that of a claim which was made anew. What differs where something of the disk is
    found, a machine has written.
    """
    target = Path(disk.target)
    if not target.is_block_device():
        return
    try:
        descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
        with closing(Storage(target, descriptor)) as storage, Journal(journal) as opened:
            found = _holds_any(opened, storage, disk.capacity)
    except OSError as error:
        raise TargetError(Reason.TARGET_UNWRITABLE, f"{target}: {error.strerror}", disk=disk.id) from error
    if not found:
        message = f"{target} was finished by an earlier run, and nothing of that is found on it: it is another device"
        raise TargetError(Reason.TARGET_PUBLISHED, message, disk=disk.id)


def held_by_another(target: Path, disk: str) -> TargetError:
    """What it means that a target's file or device is locked."""
    return TargetError(
        Reason.TARGET_UNWRITABLE,
        f"{target}: another run is writing it",
        hint="Wait until the other run ends, or choose another --output folder.",
        disk=disk,
    )


def open_target(disk: PlannedDisk, capacity: int, journal: Journal, source: str, owner: int | None) -> Target:
    """Open a disk's target, and start its journal anew unless both go on from an earlier run.

    Args:
        disk: what to produce.
        capacity: virtual size in bytes.
        journal: the disk's journal.
        source: digest of what is copied.
        owner: uid and gid that a new file is given; as the process makes it when None.

    Raises:
        TargetError: TargetExists, TargetTooSmall or TargetUnwritable.
        HostError: the journal cannot be written.
    """
    target = Path(disk.target)
    inputs = digest(source, str(target), disk.format, COMPRESSORS[disk.compression], str(capacity))
    try:
        if target.is_block_device():
            storage = _device(disk, capacity)
            _continue(journal, inputs, storage, capacity)
        else:
            refuse_existing(disk)
            storage = _file(target, journal, inputs, owner)
        return _formatted(storage, capacity, disk.format, disk.compression)
    except BlockingIOError:
        raise held_by_another(target, disk.id) from None
    except OSError as error:
        raise TargetError(Reason.TARGET_UNWRITABLE, f"{target}: {error.strerror}", disk=disk.id) from error


def _formatted(storage: Storage, capacity: int, format_: DiskFormat, compression: Compression) -> Target:
    if format_ is DiskFormat.QCOW2:
        return Qcow2Target(storage, capacity, compression)
    if format_ is DiskFormat.VDI:
        return VdiTarget(storage, capacity)
    return RawTarget(storage, capacity)


def _device(disk: PlannedDisk, capacity: int) -> Storage:
    if disk.format is not DiskFormat.RAW:
        raise TargetError(
            Reason.TARGET_UNWRITABLE,
            f"{disk.target} is a block device, which can hold raw disks only, not {disk.format}",
            hint="Set spec.target.disks.format: raw, or spec.target.disks.volumeMode: Filesystem.",
            disk=disk.id,
        )
    # O_EXCL keeps a device that is mounted or held by another program from being opened (open(2)).
    storage = Storage(Path(disk.target), os.open(disk.target, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC))
    found = storage.device_size()
    if found < capacity:
        storage.close()
        raise TargetError(
            Reason.TARGET_TOO_SMALL, f"{disk.target} has {found} bytes, the disk {capacity}", disk=disk.id
        )
    return storage


def _file(target: Path, journal: Journal, inputs: str, owner: int | None) -> Storage:
    target.parent.mkdir(parents=True, exist_ok=True)
    path = provisional(target)
    found = open_provisional(path)
    if found is None:
        return _new_file(path, journal, inputs, owner)
    if journal.belongs(inputs, found.inode):
        return found
    # Open until the new file is there: it might be given the same inode otherwise, and be taken for the one that was here.
    with closing(found):
        path.unlink()
        return _new_file(path, journal, inputs, owner)


def _new_file(path: Path, journal: Journal, inputs: str, owner: int | None) -> Storage:
    # A crash between these steps must not leave a journal that speaks of another file.
    journal.clear()
    storage = Storage(path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE))
    storage.lock()
    if owner is not None:
        os.fchown(storage.descriptor, owner, owner)
    journal.begin(inputs, storage.inode)
    return storage


def open_provisional(path: Path) -> Storage | None:
    """The provisional file of an earlier run, locked; None when there is none.

    Raises:
        BlockingIOError: another run has it.
        OSError: it cannot be opened, or is no plain file.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    storage = Storage(path, descriptor)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        storage.close()
        raise OSError(0, f"{path} is in the way")
    storage.lock()
    return storage


def _continue(journal: Journal, inputs: str, storage: Storage, capacity: int) -> None:
    """Go on with a device where it holds what the journal claims; another device may have come to its path."""
    storage.lock()
    if not (journal.belongs(inputs, _NO_INODE) and _holds_claims(journal, storage, capacity)):
        journal.clear()
        journal.begin(inputs, _NO_INODE)


def _holds_claims(journal: Journal, storage: Storage, capacity: int) -> bool:
    """Whether the first claims with data are on a device with a raw disk; false where no claim proves it."""
    claims = _proving(journal, _PROOFS)
    return bool(claims) and all(_is_held(claim, storage, capacity) for claim in claims)


def _holds_any(journal: Journal, storage: Storage, capacity: int) -> bool:
    """Whether one of the first claims with data is on a device with a raw disk; true of a disk without data."""
    claims = _proving(journal, _TRACES)
    if not claims:
        return journal.length > 0
    return any(_is_held(claim, storage, capacity) for claim in claims)


def _proving(journal: Journal, count: int) -> list[Claim]:
    """The first claims with data. Chunks that are to be written again prove nothing: on another device, all of them differ."""
    proving = (claim for claim in journal.claims() if any(claim.sizes) and claim.index not in journal.forgotten)
    return list(islice(proving, count))


def _is_held(claim: Claim, storage: Storage, capacity: int) -> bool:
    data = storage.read(claim.index * CHUNK, chunk_length(claim.index, capacity))
    return hashlib.sha256(data).digest() == claim.digest
