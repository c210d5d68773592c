"""UEFI firmware for guests: where distributions put OVMF, and a fresh copy of its variables for each start."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hyper2kvm.workspace import host_errors
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason


@dataclass(frozen=True)
class Flash:
    """The two flash chips of a UEFI machine.

    Attributes:
        code: the firmware, read-only.
        variables: the NVRAM. A template in the tables below; a copy of it in a machine that runs.
    """

    code: Path
    variables: Path


@dataclass(frozen=True)
class _Build:
    folder: str
    code: str
    variables: str


_PLAIN = (
    _Build("/usr/share/OVMF", "OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"),  # Debian 11 and later, Ubuntu
    _Build("/usr/share/OVMF", "OVMF_CODE.fd", "OVMF_VARS.fd"),  # Debian 10, and Fedora's compatibility links
    _Build("/usr/share/edk2/ovmf", "OVMF_CODE.fd", "OVMF_VARS.fd"),  # Fedora, Enterprise Linux
    _Build("/usr/share/qemu", "ovmf-x86_64-4m-code.bin", "ovmf-x86_64-4m-vars.bin"),  # SUSE
    _Build("/usr/share/qemu", "ovmf-x86_64-code.bin", "ovmf-x86_64-vars.bin"),
    _Build("/usr/share/edk2/x64", "OVMF_CODE.4m.fd", "OVMF_VARS.4m.fd"),  # Arch
)
"""Builds without Secure Boot, with empty variables."""

_SECURE = (
    _Build("/usr/share/OVMF", "OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.ms.fd"),
    _Build("/usr/share/OVMF", "OVMF_CODE.secboot.fd", "OVMF_VARS.ms.fd"),
    _Build("/usr/share/edk2/ovmf", "OVMF_CODE.secboot.fd", "OVMF_VARS.secboot.fd"),
    _Build("/usr/share/qemu", "ovmf-x86_64-smm-ms-code.bin", "ovmf-x86_64-smm-ms-vars.bin"),
)
"""Builds with Secure Boot and SMM, with Microsoft's keys enrolled: those that shim is signed for."""


def find_firmware(*, secure_boot: bool, root: Path = Path("/")) -> Flash:
    """The firmware that this machine has, with the template of its variables.

    Raises:
        HostError: FirmwareMissing, naming where it was looked for.
    """
    builds = _SECURE if secure_boot else _PLAIN
    for flash in _flashes(builds, root):
        if flash.code.is_file() and flash.variables.is_file():
            return flash
    kind = "with Secure Boot and Microsoft's keys " if secure_boot else ""
    folders = ", ".join(dict.fromkeys(build.folder for build in builds))
    raise HostError(Reason.FIRMWARE_MISSING, f"no UEFI firmware {kind}was found in {folders}")


def fresh_flash(template: Flash, folder: Path) -> Flash:
    """The firmware with variables of its own, in `folder`: as a machine that was never started has them.

    Raises:
        HostError: WorkspaceFull or WorkspaceUnusable.
    """
    variables = folder / "nvram.fd"
    with host_errors(variables):
        shutil.copyfile(template.variables, variables)
    return Flash(template.code, variables)


def _flashes(builds: Iterable[_Build], root: Path) -> Iterable[Flash]:
    for build in builds:
        folder = root / build.folder.lstrip("/")
        yield Flash(folder / build.code, folder / build.variables)
