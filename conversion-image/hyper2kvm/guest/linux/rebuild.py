"""The generators' own configuration: with it the guest's next rebuild of an initramfs keeps the drivers."""

from collections.abc import Sequence

from hyper2kvm.guest.draft import Draft

INITRAMFS_TOOLS_FOLDER = "/etc/initramfs-tools"
INITRAMFS_TOOLS = "/etc/initramfs-tools/modules"
DRACUT_FOLDER = "/etc/dracut.conf.d"
DRACUT = "/etc/dracut.conf.d/90-hyper2kvm.conf"

_REASON = "the guest's next rebuild of its initramfs keeps the drivers of the new hardware"


def keep_drivers(draft: Draft, drivers: Sequence[str]) -> None:
    """Name the drivers in the configuration of every generator that the guest has."""
    if draft.is_folder(INITRAMFS_TOOLS_FOLDER):
        before = draft.text(INITRAMFS_TOOLS) if draft.is_file(INITRAMFS_TOOLS) else ""
        draft.write(INITRAMFS_TOOLS, with_modules(before, drivers), _REASON)
    if draft.is_folder(DRACUT_FOLDER):
        # dracut.conf(5): values are added with blanks around them.
        draft.write(DRACUT, f'add_drivers+=" {" ".join(drivers)} "\n', _REASON)


def with_modules(text: str, names: Sequence[str]) -> str:
    """A list of modules, one a line with its options (initramfs-tools(7)), with the names that it lacks."""
    listed = {words[0].replace("-", "_") for line in text.split("\n") if (words := line.split())}
    missing = [name for name in names if name not in listed]
    gap = "" if not text or text.endswith("\n") else "\n"
    return text + (gap + "".join(f"{name}\n" for name in missing) if missing else "")
