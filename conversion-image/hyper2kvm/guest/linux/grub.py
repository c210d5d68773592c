"""What GRUB's next update in the guest needs to work on the new controller: its settings, not its menus."""

import re

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.fixer import Fixer, Situation
from hyper2kvm.guest.linux import deb822
from hyper2kvm.guest.linux.renaming import DeviceRenaming, StableName

DEVICE_MAP = "/boot/grub/device.map"
DEFAULTS = "/etc/default/grub"
DEBCONF = "/var/cache/debconf/config.dat"

_DISABLES_UUID = re.compile(r"^(\s*(?:export\s+)?GRUB_DISABLE_LINUX_UUID=[\"']?)true(?=[\"']?\s*(?:#|$))", re.MULTILINE)
_INSTALL_QUESTIONS = frozenset({"grub-pc/install_devices", "grub-efi/install_devices"})


def _plan(draft: Draft, situation: Situation) -> None:
    renaming = DeviceRenaming(situation)
    _device_map(draft, renaming)
    _uuids(draft)
    _install_devices(draft, renaming)


def _device_map(draft: Draft, renaming: DeviceRenaming) -> None:
    if not draft.is_file(DEVICE_MAP):
        return
    words = [word for line in draft.text(DEVICE_MAP).split("\n") if not line.startswith("#") for word in line.split()]
    if any(renaming.moves(word) for word in words):
        draft.remove(
            DEVICE_MAP,
            "it maps GRUB's disks to names that change with the controller; without it GRUB finds out itself",
        )


def _uuids(draft: Draft) -> None:
    if not draft.is_file(DEFAULTS):
        return
    text = _DISABLES_UUID.sub(r"\g<1>false", draft.text(DEFAULTS))
    draft.write(
        DEFAULTS,
        text,
        "the next update of the menu names the root file system by UUID, which does not change with the controller",
    )


def _install_devices(draft: Draft, renaming: DeviceRenaming) -> None:
    """Debconf's answer to where GRUB is installed: a package upgrade fails when the disk is not found."""
    if not draft.is_file(DEBCONF):
        return
    gone: list[str] = []

    def renamed(stanza: bytes) -> bytes:
        value = deb822.field(stanza, "Value")
        if not value or deb822.field(stanza, "Name") not in _INSTALL_QUESTIONS:
            return stanza
        devices = [device.strip() for device in value.split(",")]
        moving = [device for device in devices if renaming.moves(device)]
        gone.extend(moving)
        text = ", ".join(_renamed(device, renaming) for device in devices)
        return deb822.with_field(stanza, "Value", text) if moving else stanza

    content = deb822.mapped(draft.read(DEBCONF), renamed)
    if gone:
        draft.write(DEBCONF, content, f"GRUB's next upgrade installs it to the boot disk, which is no longer {gone[0]}")


def _renamed(device: str, renaming: DeviceRenaming) -> str:
    if not renaming.moves(device):
        return device
    found: StableName | None = renaming.disk(device) or renaming.boot_disk()
    return found.path if found else device


FIXER = Fixer("grub", lambda situation: situation.options.stable_device_names, _plan)
