"""The initramfs of every kernel gets the drivers of the new hardware, by a graft; the guest's tools are not run."""

from collections.abc import Iterable, Mapping, Sequence

from hyper2kvm.guest.description import DriverPlace, Kernel
from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.fixer import Fixer, Situation
from hyper2kvm.guest.linux.carried import is_naming, replaced_files
from hyper2kvm.guest.linux.compression import ERRORS
from hyper2kvm.guest.linux.cpio import Member
from hyper2kvm.guest.linux.graft import Graft, driver_files, graft
from hyper2kvm.guest.linux.initramfs import Initramfs
from hyper2kvm.guest.linux.kernels import (
    DRIVERS,
    OLDER,
    UNIFIED,
    default,
    early_modules,
    module_tree,
    open_initramfs,
    places,
)
from hyper2kvm.guest.linux.modules import ModuleTree
from hyper2kvm.guest.linux.rebuild import keep_drivers, with_modules
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.options import InitramfsPolicy, TargetBus
from hyper2kvm_api.reasons import Reason

BUS_DRIVERS: Mapping[TargetBus, Sequence[str]] = {
    TargetBus.VIRTIO: ("virtio", "virtio_ring", "virtio_pci", "virtio_blk"),
    TargetBus.SCSI: ("virtio", "virtio_ring", "virtio_pci", "virtio_scsi", "sd_mod"),
    TargetBus.SATA: ("ahci", "sd_mod"),
}
"""Modules without which a kernel does not find a disk on a bus."""

_LISTED_MODULES = "conf/modules"
_EARLY = frozenset({DriverPlace.BUILT_IN, DriverPlace.INITRAMFS})


def _plan(draft: Draft, situation: Situation) -> None:
    kernels = situation.guest.kernels
    if not kernels:
        raise GuestError(
            Reason.DRIVERS_MISSING,
            "no installed kernel was found: /boot has no vmlinuz and the boot loader has no entry",
            hint="Install a kernel in the guest; a separate /boot must be in its /etc/fstab.",
        )
    first, grafted, done = default(kernels), False, set[str]()
    for kernel in kernels:
        real = draft.resolve(kernel.initramfs or kernel.image)
        if real in done:
            continue
        done.add(real)
        try:
            grafted |= _extend(draft, situation, kernel)
        except GuestError as error:
            if kernel.version == first.version and not kernel.image.endswith(OLDER):
                raise
            draft.warn(str(error.reason), error.message, f"The newest kernel, {first.version}, is fit. {error.hint}")
    if grafted:
        keep_drivers(draft, _wanted(situation))


def _extend(draft: Draft, situation: Situation, kernel: Kernel) -> bool:
    """Plan one kernel's graft; whether drivers are in it."""
    tree = module_tree(draft, kernel.version)
    if kernel.initramfs is None:
        _check_bare(draft, situation, kernel)
        return False
    image = open_initramfs(draft, kernel.initramfs)
    where = places(_wanted(situation), tree, image.modules(kernel.version))
    late = [name for name in _needed(situation) if where[name] not in _EARLY]
    _check_available(kernel, where, late)
    _check_network(draft, situation, kernel, where)
    files = replaced_files(draft, situation, image, with_names=bool(late) or where[situation.network_driver] in _EARLY)
    if not late and not files:
        draft.note(f"kernel {kernel.version}: its initramfs has every driver that the new disks need")
        return False
    drivers = _drivers(draft, kernel, image, tree, where) if late and tree else []
    if drivers and image.generator == "initramfs-tools":
        before = image.files.get(_LISTED_MODULES, b"").decode("utf-8", "surrogateescape")
        listed = [name for name, place in where.items() if place not in {DriverPlace.BUILT_IN, DriverPlace.MISSING}]
        files[_LISTED_MODULES] = with_modules(before, listed).encode("utf-8", "surrogateescape")
    made = graft(image, kernel.version, drivers, files, compress=_takes_gzip(draft, kernel))
    draft.append(kernel.initramfs, made.content, _reason(kernel, late, files), _summary(made))
    return bool(drivers)


def _drivers(
    draft: Draft, kernel: Kernel, image: Initramfs, tree: ModuleTree, where: Mapping[str, DriverPlace]
) -> list[Member]:
    names = [name for name, place in where.items() if place is DriverPlace.MODULES]
    try:
        return driver_files(draft, image, kernel.version, tree, names)
    except ERRORS as error:
        raise GuestError(
            Reason.DRIVERS_MISSING,
            f"a driver of kernel {kernel.version} in {tree.folder} cannot be unpacked: {error}",
            hint="Reinstall the kernel's package in the guest.",
            file=tree.folder,
        ) from error


def _check_available(kernel: Kernel, where: Mapping[str, DriverPlace], late: Sequence[str]) -> None:
    missing = [name for name in late if where[name] is DriverPlace.MISSING]
    if missing:
        raise GuestError(
            Reason.DRIVERS_MISSING,
            f"kernel {kernel.version} has no {', '.join(missing)}: neither built in nor in "
            f"{kernel.modules or '/lib/modules'}",
            file=kernel.image,
        )


def _check_network(draft: Draft, situation: Situation, kernel: Kernel, where: Mapping[str, DriverPlace]) -> None:
    driver = situation.network_driver
    if where[driver] is DriverPlace.MISSING:
        draft.warn(
            "NetworkDriverMissing",
            f"kernel {kernel.version} has no {driver}: it will have no network on the new machine's adapters",
            "Give the virtual machine adapters of another model, such as e1000e, or install a kernel with "
            f"{driver} in the guest.",
        )


def _check_bare(draft: Draft, situation: Situation, kernel: Kernel) -> None:
    """A kernel without an initramfs of its own file: nothing can be added, so its drivers must be there."""
    tree = module_tree(draft, kernel.version)
    where = places(_needed(situation), tree, early_modules(draft, kernel))
    late = [name for name, place in where.items() if place not in _EARLY]
    if not late:
        draft.note(f"kernel {kernel.version} has every driver that the new disks need")
        return
    form = "is a unified image, signed as a whole," if kernel.generator == UNIFIED else "has no initramfs"
    raise GuestError(
        Reason.INITRAMFS_UNSUPPORTED,
        f"kernel {kernel.image} {form} and lacks {', '.join(late)}",
        file=kernel.image,
    )


def _needed(situation: Situation) -> tuple[str, ...]:
    """The drivers without which the disks are not found."""
    buses = dict.fromkeys(disk.bus for disk in situation.disks)
    return tuple(dict.fromkeys(name for bus in buses for name in BUS_DRIVERS[bus]))


def _wanted(situation: Situation) -> tuple[str, ...]:
    """The drivers that a graft brings: all of virtio, so that a later change of the bus needs no repair."""
    return tuple(dict.fromkeys((*DRIVERS, *_needed(situation), situation.network_driver)))


def _takes_gzip(draft: Draft, kernel: Kernel) -> bool:
    """Whether the kernel says so; every kernel takes an archive that is not compressed."""
    for path in (f"/boot/config-{kernel.version}", f"{kernel.modules}/config"):
        if draft.is_file(path):
            return b"\nCONFIG_RD_GZIP=y\n" in draft.read(path)
    return False


def _reason(kernel: Kernel, late: Sequence[str], files: Iterable[str]) -> str:
    if not late and all(is_naming(path) for path in files):
        return f"kernel {kernel.version}: its initramfs has the adapters' driver, and would give them other names"
    if not late:
        return f"kernel {kernel.version}: its initramfs holds settings that change with the controller"
    return f"kernel {kernel.version}: its initramfs lacks {', '.join(late)}, so it would not find the new disks"


def _summary(made: Graft) -> str:
    parts = [f"drivers {', '.join(made.modules)}"] if made.modules else []
    parts += [f"files {', '.join(made.files)}"] if made.files else []
    return f"{len(made.content)} bytes appended: {'; '.join(parts)}"


FIXER = Fixer("initramfs", lambda situation: situation.options.initramfs is InitramfsPolicy.AUTO, _plan)
