"""Boot loaders: which ones a guest has, with their configuration files and EFI programs."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hyper2kvm.guest.description import BootLoader
from hyper2kvm.guest.files import GuestFiles
from hyper2kvm.guest.firmware import BootRecord
from hyper2kvm.guest.linux import arguments

_EFI_KINDS: Mapping[str, re.Pattern[str]] = {
    "grub-efi": re.compile(r"(grub|shim)(x64|aa64|ia32|arm)\.efi", re.IGNORECASE),
    "systemd-boot": re.compile(r"systemd-boot(x64|aa64|ia32|arm)\.efi", re.IGNORECASE),
}
_FALLBACK = re.compile(r"boot(x64|aa64|ia32|arm)\.efi", re.IGNORECASE)
_MENUS_OF: Mapping[str, re.Pattern[str]] = {
    "grub-pc": re.compile(r"/boot/grub2?/grub\.cfg"),
    "grub-efi": re.compile(r"/boot/grub2?/grub\.cfg|.*/EFI/[^/]+/grub\.cfg"),
    "systemd-boot": re.compile(r".*/loader/(entries/[^/]+|loader)\.conf"),
    "extlinux": re.compile(r"/boot/(extlinux|syslinux)/[^/]+"),
}
_MORE_CONFIGS = ("/boot/loader/loader.conf", "/boot/efi/loader/loader.conf", "/efi/loader/loader.conf")


@dataclass(frozen=True)
class EfiProgram:
    """An EFI program on the ESP.

    Attributes:
        path: its path in the guest.
        vendor: its folder below EFI, as spelled there.
        name: its file name, as spelled there.
    """

    path: str
    vendor: str
    name: str


def find(files: GuestFiles, esp: str | None, records: Mapping[str, BootRecord]) -> tuple[BootLoader, ...]:
    """The boot loaders of a guest.

    Args:
        files: its files.
        esp: where the EFI system partition is mounted, such as `/boot/efi`; None when there is none.
        records: how each disk begins, by its id.
    """
    menus = _menus(files)
    return (*_bios(menus, records), *_efi(files, esp, menus))


def efi_programs(files: GuestFiles, esp: str) -> tuple[EfiProgram, ...]:
    """The programs one folder below EFI. FAT ignores case, so names are given as spelled."""
    return tuple(_programs(files, esp))


def is_fallback(program: EfiProgram) -> bool:
    """Whether firmware starts the program by itself (UEFI 2.10, section 3.5.1.1)."""
    return program.vendor.lower() == "boot" and _FALLBACK.fullmatch(program.name) is not None


def folder(files: GuestFiles, parent: str, name: str) -> str:
    """The folder `name` in `parent`, as spelled there, or as given when it is not there."""
    spelled = next((found for found in files.list(parent) if found.lower() == name.lower()), name)
    return posixpath.join(parent, spelled)


def _menus(files: GuestFiles) -> tuple[str, ...]:
    found = [path for pattern in (*arguments.MENUS, *_MORE_CONFIGS) for path in files.glob(pattern)]
    return tuple(dict.fromkeys(found))


def _bios(menus: tuple[str, ...], records: Mapping[str, BootRecord]) -> Iterator[BootLoader]:
    grub, extlinux = _of("grub-pc", menus), _of("extlinux", menus)
    for disk, record in records.items():
        # GRUB legacy has the same words in its first stage, and another menu (menu.lst), which no fixer knows. In a
        # partition's boot sector they may be left from an earlier system. With GRUB 2's menu they are neither.
        if grub and record.leads_to_grub:
            yield BootLoader(kind="grub-pc", disk=disk, configs=grub)
    if extlinux:
        # Its code stands in the partition's boot sector: the disk is the one whose sector 0 starts partitions.
        starting = [disk for disk, record in records.items() if record.has_code and not record.leads_to_grub]
        yield BootLoader(kind="extlinux", disk=starting[0] if starting else None, configs=extlinux)


def _efi(files: GuestFiles, esp: str | None, menus: tuple[str, ...]) -> Iterator[BootLoader]:
    programs = efi_programs(files, esp) if esp else ()
    fallback = tuple(program.path for program in programs if is_fallback(program))
    found = {
        kind: tuple(program.path for program in programs if names.fullmatch(program.name))
        for kind, names in _EFI_KINDS.items()
    }
    if not any(found.values()):
        # With the firmware's name alone (grub-install --removable) a loader is known by its menu.
        found = {kind: fallback for kind in _EFI_KINDS if _of(kind, menus)}
    for kind, loaders in found.items():
        if loaders:
            yield BootLoader(kind=kind, configs=_of(kind, menus), loaders=loaders, fallback=bool(fallback))


def _of(kind: str, menus: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(path for path in menus if _MENUS_OF[kind].fullmatch(path))


def _programs(files: GuestFiles, esp: str) -> Iterator[EfiProgram]:
    root = folder(files, esp, "EFI")
    for vendor in files.list(root):
        for name in files.list(f"{root}/{vendor}"):
            if name.lower().endswith(".efi"):
                yield EfiProgram(f"{root}/{vendor}/{name}", vendor, name)
