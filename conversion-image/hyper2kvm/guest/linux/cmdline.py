"""Devices on kernel command lines: root=, resume= and their kin, in every menu and in what menus are made from."""

import re

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.fixer import Fixer, Situation
from hyper2kvm.guest.linux import arguments, devicenames, uki
from hyper2kvm.guest.linux.arguments import DeviceArgument
from hyper2kvm.guest.linux.bytesource import FileBytes
from hyper2kvm.guest.linux.kernels import UNIFIED, default
from hyper2kvm.guest.linux.renaming import DeviceRenaming, StableName
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.reasons import Reason

_TABLES = (arguments.MENUS, arguments.SETTINGS, arguments.INITRAMFS_SETTINGS)
_MAX_CMDLINE = 4096
"""Bytes of a command line (Linux, COMMAND_LINE_SIZE of most architectures, at most)."""

_ANY = re.compile("")
_UNIFIED_HINT = (
    "Name the device by UUID= in the guest's /etc/kernel/cmdline, make the image anew there, and export it again."
)


def new_device(argument: DeviceArgument, renaming: DeviceRenaming, situation: Situation) -> str | None:
    """What to write in place of an argument's device, or None when it is on none of the machine's disks."""
    stable = _stable(argument, renaming, situation)
    if stable is None:
        return None
    return stable.spec if argument.key in arguments.TAGGED else stable.path


def _stable(argument: DeviceArgument, renaming: DeviceRenaming, situation: Situation) -> StableName | None:
    if argument.key in devicenames.MEMBERS:
        return renaming.partition(argument.device)
    if argument.key != "root":
        return renaming.stable(argument.device)
    # A menu may start other systems too; a name that the guest's own fstab has for its root means what INSPECT found.
    is_own = argument.device == situation.guest.root_name
    if _mounts_alone(situation):
        return (renaming.root_partition() if is_own else None) or renaming.partition(argument.device)
    return (renaming.root() if is_own else None) or renaming.stable(argument.device) or renaming.root()


def _mounts_alone(situation: Situation) -> bool:
    """Whether a kernel has no initramfs: it then knows PARTUUID= but no UUID= (Linux, block/early-lookup.c)."""
    return any(kernel.initramfs is None and kernel.generator != UNIFIED for kernel in situation.guest.kernels)


def _plan(draft: Draft, situation: Situation) -> None:
    renaming = DeviceRenaming(situation)
    told = False
    for path, lines in arguments.files(draft, *_TABLES):
        for argument in dict.fromkeys(arguments.devices(draft.text(path), lines)):
            if renaming.moves(argument.device):
                told = True
                _replace(draft, situation, path, argument, renaming)
        for argument in dict.fromkeys(arguments.others(draft.text(path), lines)):
            if renaming.moves(argument.device):
                told = True
                _stays(draft, path, argument)
    told |= _in_unified_images(draft, situation, renaming)
    if not told:
        draft.note("no kernel command line names a device that changes with the controller")


def _in_unified_images(draft: Draft, situation: Situation, renaming: DeviceRenaming) -> bool:
    """Tell what command lines inside of unified images name, which are signed with them; whether there was any."""
    images = [kernel for kernel in situation.guest.kernels if kernel.generator == UNIFIED]
    told = False
    for kernel in images:
        line = _inside(draft, kernel.image)
        if kernel.version == default(situation.guest.kernels).version:
            _refuse_moving_root(kernel.image, line, situation, renaming)
        for name in filter(renaming.moves, dict.fromkeys(devicenames.find(line))):
            told = True
            draft.warn(
                "DeviceNameStays",
                f"{kernel.image}: {name} has another name on the new controller, and the command line is part of the "
                "image",
                _UNIFIED_HINT,
            )
    return told


def _refuse_moving_root(image: str, line: str, situation: Situation, renaming: DeviceRenaming) -> None:
    for argument in arguments.devices(line, _ANY):
        if argument.key != "root" or not renaming.moves(argument.device):
            continue
        stable = _stable(argument, renaming, situation)
        if stable is None or stable.new_name != argument.device:
            raise GuestError(
                Reason.GUEST_FILE_INVALID,
                f"{image}: root={argument.device} has another name on the new controller, and the command line is part of "
                "the image",
                hint=_UNIFIED_HINT,
                file=image,
            )


def _inside(draft: Draft, image: str) -> str:
    held = uki.sections(FileBytes(draft, image)).get(".cmdline")
    return held.read(0, _MAX_CMDLINE).partition(b"\0")[0].decode("utf-8", "replace") if held else ""


def _replace(draft: Draft, situation: Situation, path: str, argument: DeviceArgument, renaming: DeviceRenaming) -> None:
    stable = _stable(argument, renaming, situation)
    device = new_device(argument, renaming, situation)
    if stable is None or device is None:
        _unmapped(draft, situation, path, argument)
        return
    draft.write(path, arguments.replaced(draft.text(path), argument, device), stable.reason(argument.device))


def _stays(draft: Draft, path: str, argument: DeviceArgument) -> None:
    draft.warn(
        "DeviceNameStays",
        f"{path} line {argument.line}: {argument.device} has another name on the new controller, in an argument that is "
        "not known to take one that stays",
        "Look up what the argument takes in place of a device name, and correct it there in the guest.",
    )


def _unmapped(draft: Draft, situation: Situation, path: str, argument: DeviceArgument) -> None:
    where = f"{path} line {argument.line}: {argument.key}={argument.device}"
    if argument.key == "root":
        need = "no partition UUID" if _mounts_alone(situation) else "none of the machine's disks"
        raise GuestError(
            Reason.GUEST_FILE_INVALID,
            f"{where} cannot be replaced by a name that stays: {need} fits it",
            hint="Write root=UUID=… (root=PARTUUID=… without an initramfs) there in the guest, and update its menu.",
            file=path,
        )
    draft.warn(
        "DeviceNotFound",
        f"{where} is on none of the machine's disks",
        "Add the disk to the machine, or remove the argument in the guest.",
    )


FIXER = Fixer("kernel command line", lambda situation: situation.options.stable_device_names, _plan)
