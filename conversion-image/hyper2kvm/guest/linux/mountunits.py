"""systemd's own mount and swap units (systemd.mount(5), systemd.swap(5)), where they name devices that move."""

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.fixer import Fixer, Situation
from hyper2kvm.guest.linux import devicenames, ini
from hyper2kvm.guest.linux.renaming import DeviceRenaming

FOLDER = "/etc/systemd/system"


def _plan(draft: Draft, situation: Situation) -> None:
    renaming = DeviceRenaming(situation)
    for path in draft.glob(f"{FOLDER}/*.mount"):
        if draft.is_file(path):
            _mount(draft, path, renaming)
    for path in draft.glob(f"{FOLDER}/*.swap"):
        if draft.is_file(path):
            _swap(draft, path, renaming)


def _mount(draft: Draft, path: str, renaming: DeviceRenaming) -> None:
    for entry in ini.entries(draft.text(path)):
        if (entry.section, entry.key) not in {("Mount", "What"), ("Mount", "Options")}:
            continue
        found = devicenames.renamed(entry.value, renaming)
        if found.reasons:
            text = ini.with_line(draft.text(path), entry, f"{entry.key}={found.text}")
            draft.write(path, text, *found.reasons)
        for name in found.unknown:
            draft.warn(
                "DeviceNotFound",
                f"{path} line {entry.line}: {name} is on none of the machine's disks",
                "Add the disk to the machine, or disable the unit in the guest.",
            )


def _swap(draft: Draft, path: str, renaming: DeviceRenaming) -> None:
    """A swap unit is named after its device, so it cannot be given another one."""
    what = ini.first(draft.text(path), "Swap", "What")
    if what is not None and renaming.moves(what):
        draft.warn(
            "SwapUnitMoves",
            f"{path} swaps to {what}, which has another name on the new controller",
            "Name the swap space by UUID= in /etc/fstab in the guest and remove the unit.",
        )


FIXER = Fixer("mount units", lambda situation: situation.options.stable_device_names, _plan)
