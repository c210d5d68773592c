"""Encrypted devices (LUKS): unlocked in the appliance with the keys that the user gave. No message holds a key."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hyper2kvm.guest.blockdevices import Probes, scan
from hyper2kvm.guest.description import BlockDevice
from hyper2kvm.guest.handle import Handle, appliance_failed, guarded, said
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.reasons import Reason

LUKS = "crypto_LUKS"
MAX_KEYS = 32
"""Files that are tried."""

MAX_KEY = 8192
"""Bytes of a key."""

_LAYERS = 4
"""Encrypted devices inside of each other, or of volumes inside of them, that are unlocked."""

_NAME = re.compile(r"[0-9a-fA-F-]{1,40}")


@dataclass(frozen=True)
class Keys:
    """What is tried.

    Attributes:
        texts: passphrases and key files' contents.
        files: names of the files that they are from.
        unusable: names of files that cannot be tried: larger than a key, or no text.
    """

    texts: tuple[str, ...] = field(default=(), repr=False)
    files: tuple[str, ...] = ()
    unusable: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unlocked:
    """The devices after unlocking.

    Attributes:
        devices: everything that was found, what is inside of unlocked devices included.
        locked: the devices that no key opens.
        mapped: what an encrypted device is called unlocked, by its own name.
        passphrases: the keys that opened devices, each once.
    """

    devices: tuple[BlockDevice, ...]
    locked: tuple[BlockDevice, ...]
    mapped: dict[str, str]
    passphrases: tuple[str, ...] = field(default=(), repr=False)


def read_keys(folder: Path | None) -> Keys:
    """The keys in a folder, a file each, as a mounted Secret has them (its hidden entries are not keys).

    What ends with a line end is tried without it; as it is only after all of them, since each try takes seconds.
    """
    if folder is None or not folder.is_dir():
        return Keys()
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file())
    read = {path.name: _text(path) for path in paths[:MAX_KEYS]}
    texts = [text for text in read.values() if text]
    lines = [text.removesuffix("\n").removesuffix("\r") for text in texts]
    return Keys(
        texts=tuple(dict.fromkeys(text for text in [*lines, *texts] if text)),
        files=tuple(name for name, text in read.items() if text),
        unusable=tuple(name for name, text in read.items() if not text),
    )


def unlock(handle: Handle, disks: Sequence[str], keys: Keys) -> Unlocked:
    """Find a guest's devices, and unlock what is encrypted, layer by layer.

    Args:
        handle: an appliance with the disks in the machine's order.
        disks: their ids.
        keys: what is tried.
    """
    probes = Probes()
    devices = scan(handle, disks, probes)
    seen: set[str] = set()
    used: dict[str, None] = {}
    for _ in range(_LAYERS):
        there = {device.device for device in devices}
        new = [device for device in devices if device.type == LUKS and device.device not in seen]
        opening = {device.device: _open(handle, device, keys) for device in new if _mapped(device) not in there}
        used |= dict.fromkeys(key for key in opening.values() if key)
        opened = [device for device in new if device.device not in opening or opening[device.device]]
        if not opened:
            break
        seen |= {device.device for device in new}
        probes.origins |= {_mapped(device): device.device for device in opened}
        with guarded(handle, appliance_failed):
            handle.lvm_scan(True)
        devices = scan(handle, disks, probes)
    encrypted = [device for device in devices if device.type == LUKS]
    mapped = {device.device: _mapped(device) for device in encrypted if _mapped(device) in probes.origins}
    locked = tuple(device for device in encrypted if device.device not in mapped)
    return Unlocked(devices, locked, mapped, tuple(used))


def without_key(locked: Sequence[BlockDevice], keys: Keys, what: str) -> GuestError:
    """The error of a guest that cannot be opened. `what` says what is on the devices."""
    names = ", ".join(f"{device.device} (disk {device.disk})" for device in locked)
    tried = f"none of the keys {', '.join(keys.files)} opens it" if keys.files else "no key was given"
    skipped = f"; {', '.join(keys.unusable)} could not be tried: empty, too large or no text" if keys.unusable else ""
    return GuestError(
        Reason.ENCRYPTED_WITHOUT_KEY, f"{names}: {what} is encrypted and {tried}{skipped}", disk=locked[0].disk
    )


def _text(path: Path) -> str | None:
    content = path.read_bytes() if path.stat().st_size <= MAX_KEY else b"\0"
    try:
        return None if b"\0" in content else content.decode()
    except UnicodeDecodeError:
        return None


def _mapped(device: BlockDevice) -> str:
    uuid = device.uuid if device.uuid and _NAME.fullmatch(device.uuid) else None
    return f"/dev/mapper/luks-{uuid or device.device.removeprefix('/dev/').replace('/', '-')}"


def _open(handle: Handle, device: BlockDevice, keys: Keys) -> str | None:
    """The key that opened a device."""
    name = _mapped(device).removeprefix("/dev/mapper/")
    for key in keys.texts:
        try:
            handle.cryptsetup_open(device.device, key, name)
        except RuntimeError as error:
            if not handle.is_ready():
                raise appliance_failed(said(error)) from error
            continue
        return key
    return None
