"""The guest's configuration as an initramfs carries it: what the repair changed outside must change inside too."""

import re
from collections.abc import Iterator, Mapping

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.edits import EditKind
from hyper2kvm.guest.fixer import Situation
from hyper2kvm.guest.linux import arguments, crypttab, fstab, lvmdevices, mdadmdevices
from hyper2kvm.guest.linux.cmdline import new_device
from hyper2kvm.guest.linux.initramfs import Initramfs
from hyper2kvm.guest.linux.renaming import DeviceRenaming

COPIED = ("/etc/modprobe.d/", "/etc/systemd/network/", "/etc/udev/rules.d/", "/etc/lvm/")
"""Folders of which generators copy files as they are."""

NAMING = ("/etc/systemd/network/", "/etc/udev/rules.d/")
"""Folders whose new files give adapters their names: wanted wherever the adapters' driver is."""

_CRYPTTABS = ("cryptroot/crypttab", "etc/crypttab")
_FSTAB = "etc/fstab"
_MDADM = re.compile(r"etc/(?:mdadm/)?mdadm\.conf(?:\.d/[^/]+)?")
"""Places of mdadm.conf, which the generators do not copy as it is: initramfs-tools' takes lines out or makes another (hook
mdadm), dracut's puts Debian's where others have it (90mdraid)."""


def is_naming(path: str) -> bool:
    """Whether a file, by its path inside an initramfs, is one that gives adapters their names."""
    return f"/{path}".startswith(NAMING)


def replaced_files(draft: Draft, situation: Situation, image: Initramfs, *, with_names: bool) -> dict[str, bytes]:
    """Files to replace or add inside an initramfs, by path without a leading slash; empty when it fits.

    Args:
        draft: the guest's files as the other fixers leave them.
        situation: the guest.
        image: the initramfs.
        with_names: whether files that name network adapters are added where they are missing.
    """
    changed = dict(_copied(draft, image, with_names=with_names))
    if situation.options.stable_device_names:
        changed |= dict(_renamed(situation, image))
        changed |= dict(_all_devices(changed, image))
    return changed


def _copied(draft: Draft, image: Initramfs, *, with_names: bool) -> Iterator[tuple[str, bytes]]:
    for edit in draft.edits():
        inside = _inside(edit.path)
        if edit.kind is not EditKind.WRITE or not edit.path.startswith(COPIED):
            continue
        missing = with_names and edit.path.startswith(NAMING) and inside not in image.modes
        outdated = inside in image.files and image.files[inside] != edit.content
        if missing or outdated:
            yield inside, edit.content


def _all_devices(changed: Mapping[str, bytes], image: Initramfs) -> Iterator[tuple[str, bytes]]:
    """LVM looks at all disks where its list names the old ones; an archive that is appended can remove no file."""
    listed = image.files.get(_inside(lvmdevices.DEVICES_FILE), b"").decode("utf-8", "surrogateescape")
    if lvmdevices.hardware_ids(listed):
        path = _inside(lvmdevices.LOCAL_CONF)
        before = changed.get(path, image.files.get(path, b"")).decode("utf-8", "surrogateescape")
        after = lvmdevices.switched_off(before)
        if after != before:
            yield path, after.encode("utf-8", "surrogateescape")


def _inside(path: str) -> str:
    return path.removeprefix("/")


def _renamed(situation: Situation, image: Initramfs) -> Iterator[tuple[str, bytes]]:
    renaming = DeviceRenaming(situation)
    for path, content in image.files.items():
        text = content.decode("utf-8", "surrogateescape")
        new = _rewritten(path, text, situation, renaming)
        if new != text:
            yield path, new.encode("utf-8", "surrogateescape")


def _rewritten(path: str, text: str, situation: Situation, renaming: DeviceRenaming) -> str:
    if path in _CRYPTTABS:
        return crypttab.renamed(text, renaming).text
    if path == _FSTAB:
        return fstab.renamed(text, renaming).text
    if _MDADM.fullmatch(path):
        return mdadmdevices.renamed(text, situation).text
    for pattern, lines in arguments.INSIDE_INITRAMFS.items():
        if pattern.fullmatch(path):
            for argument in arguments.devices(text, lines):
                device = new_device(argument, renaming, situation) if renaming.moves(argument.device) else None
                text = arguments.replaced(text, argument, device) if device else text
    return text
