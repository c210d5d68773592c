"""UEFI guests whose loader only their old NVRAM knew: a copy goes where firmware looks by itself.

Firmware with an empty NVRAM starts EFI/BOOT/BOOT<architecture>.EFI (UEFI 2.10, section 3.5.1.1). Shim starts the
GRUB beside it; Debian's and Ubuntu's GRUB read EFI/<vendor>/grub.cfg from wherever they stand, so that stub is
neither copied nor changed. fbx64.efi is left out: beside shim it would write NVRAM entries and reset.

A loader that is there stays, unless the firmware enforces Secure Boot and would refuse it: NVRAM led to the vendor's shim,
and `grub-install --removable` or an image's builder had left a plain GRUB.
"""

import posixpath
from collections.abc import Mapping, Sequence

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.firmware import ESP_FOLDERS, esp_folder
from hyper2kvm.guest.fixer import Fixer, Situation
from hyper2kvm.guest.linux import pe
from hyper2kvm.guest.linux.bootloaders import EfiProgram, efi_programs, folder, is_fallback
from hyper2kvm.guest.linux.bytesource import FileBytes
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.machine import Firmware
from hyper2kvm_api.reasons import Reason

ARCHITECTURES = ("x64", "aa64", "ia32")
"""Suffixes of EFI programs."""

VENDORS: Mapping[str, Sequence[str]] = {"ubuntu": ("ubuntu",), "debian": ("debian",), "linuxmint": ("ubuntu",)}
"""Folders below EFI by os-release's ID; other systems use a folder of their ID."""

_NOT_OURS = frozenset({"boot", "microsoft", "linux"})
_SYSTEMD = "systemd"


def copies(programs: Sequence[EfiProgram], architecture: str, vendors: Sequence[str]) -> dict[str, EfiProgram]:
    """What must stand at EFI/BOOT for one architecture: programs by file name there; empty when nothing fits."""
    for vendor in vendors:
        mine = {program.name.lower(): program for program in programs if program.vendor.lower() == vendor}
        shim, grub = mine.get(f"shim{architecture}.efi"), mine.get(f"grub{architecture}.efi")
        first = mine.get(f"systemd-boot{architecture}.efi") or (shim if grub else None) or grub
        if first is None:
            continue
        chosen = {f"BOOT{architecture.upper()}.EFI": first}
        if first is shim:
            beside = (f"grub{architecture}.efi", f"mm{architecture}.efi")
            chosen |= {name: mine[name] for name in beside if name in mine}
        return chosen
    return {}


def _plan(draft: Draft, situation: Situation) -> None:
    esp = esp_folder(situation.guest.mounts)
    if esp is None:
        raise GuestError(
            Reason.BOOT_LOADER_UNKNOWN,
            "the guest starts by UEFI and has no EFI system partition mounted at " + ", ".join(ESP_FOLDERS),
            hint="Mount the EFI system partition by /etc/fstab in the guest, or set spec.guest.fallbackLoader: false.",
        )
    programs = efi_programs(draft, esp)
    wanted = [
        name for name in ARCHITECTURES if any(program.name.lower().endswith(f"{name}.efi") for program in programs)
    ]
    made = [_fallback(draft, situation, esp, programs, architecture) for architecture in wanted]
    if not any(made):
        raise GuestError(
            Reason.BOOT_LOADER_UNKNOWN,
            f"{esp} holds no boot loader that can be started without the old NVRAM",
            hint="Reinstall GRUB or systemd-boot in the guest, or set spec.guest.fallbackLoader: false.",
        )


def _fallback(draft: Draft, situation: Situation, esp: str, programs: Sequence[EfiProgram], architecture: str) -> bool:
    """Plan the copies for one architecture; whether the guest then has a fallback loader for it."""
    name = f"BOOT{architecture.upper()}.EFI"
    there = {program.name.lower(): program for program in programs if program.vendor.lower() == "boot"}
    chosen = copies(programs, architecture, _vendors(situation, programs))
    present = there.get(name.lower())
    refused = present is not None and _refused(draft, situation, chosen.get(name), present)
    if present is not None and not refused and not _broken(draft, chosen, name, there, architecture):
        draft.note(f"{present.path} is there: the guest starts with an empty NVRAM")
        return True
    place = folder(draft, folder(draft, esp, "EFI"), "BOOT")
    for target, program in chosen.items():
        standing = there.get(target.lower())
        if standing is None:
            reason = (
                f"firmware without the old NVRAM starts only {place}/{name}; the loader was in {program.vendor} alone"
            )
            draft.copy(program.path, posixpath.join(place, target), reason)
        elif refused:
            reason = f"{place}/{name} is not signed, and the machine enforces Secure Boot: {program.vendor}'s shim is"
            draft.copy(program.path, standing.path, reason)
    return present is not None or bool(chosen)


def _refused(draft: Draft, situation: Situation, first: EfiProgram | None, present: EfiProgram) -> bool:
    """Whether Secure Boot lets the vendor's shim start and not the loader at EFI/BOOT, such as a plain GRUB."""
    if not situation.machine.secure_boot or first is None or not first.name.lower().startswith("shim"):
        return False
    return pe.is_signed(FileBytes(draft, first.path)) and not pe.is_signed(FileBytes(draft, present.path))


def _broken(
    draft: Draft, chosen: Mapping[str, EfiProgram], name: str, there: Mapping[str, EfiProgram], architecture: str
) -> bool:
    """Whether EFI/BOOT has this vendor's shim without the GRUB that it starts."""
    second = f"grub{architecture}.efi"
    if second not in chosen or second in there or f"fb{architecture}.efi" in there:
        return False
    return draft.read(there[name.lower()].path) == draft.read(chosen[name].path)


def _vendors(situation: Situation, programs: Sequence[EfiProgram]) -> list[str]:
    system = situation.guest.os.id if situation.guest.os else ""
    known = [*VENDORS.get(system, (system,))]
    others = sorted(
        {program.vendor.lower() for program in programs if not is_fallback(program)} - _NOT_OURS - {_SYSTEMD}
    )
    return list(dict.fromkeys([*known, *others, _SYSTEMD]))


def _wanted(situation: Situation) -> bool:
    return situation.options.fallback_loader and situation.guest.firmware is Firmware.UEFI


FIXER = Fixer("EFI fallback loader", _wanted, _plan)
