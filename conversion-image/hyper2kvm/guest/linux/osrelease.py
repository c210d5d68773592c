"""What system a root file system holds: os-release(5), and a few files that tell the rest."""

import re
import shlex
import struct
from collections.abc import Mapping

from hyper2kvm.guest.description import Family, OperatingSystem
from hyper2kvm.guest.files import FileKind, GuestFiles, first_existing

FAMILIES: Mapping[str, Family] = {"debian": Family.DEBIAN, "ubuntu": Family.DEBIAN}
"""Families by ID, and by the words of ID_LIKE, of os-release."""

REPAIRED = "Linux of the Debian family (Debian, Ubuntu and their derivatives)"
"""The systems of these families, as users are told of them."""

MACHINES: Mapping[int, str] = {3: "i686", 62: "x86_64", 40: "armv7l", 183: "aarch64", 21: "ppc64le", 22: "s390x"}
"""Machine names by the e_machine field of an ELF header (System V ABI; linux/elf-em.h)."""

PACKAGE_MANAGERS: Mapping[str, str] = {
    "/usr/bin/apt-get": "apt",
    "/usr/bin/dnf": "dnf",
    "/usr/bin/yum": "yum",
    "/usr/bin/zypper": "zypper",
    "/usr/bin/pacman": "pacman",
    "/sbin/apk": "apk",
}
"""Package managers by a program that each one has."""

_PROGRAMS = ("/bin/sh", "/usr/bin/env", "/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1", "/sbin/init")
_ASSIGNMENT = re.compile(r"^([A-Z][A-Z0-9_]*)=(.*)$")


def read(files: GuestFiles) -> OperatingSystem | None:
    """The operating system, or None when there is no os-release."""
    path = first_existing(files, ("/etc/os-release", "/usr/lib/os-release"))
    if path is None:
        return None
    values = assignments(files.read(path).decode("utf-8", "replace"))
    return OperatingSystem(
        family=_family(values),
        id=values.get("ID", "linux"),
        version=values.get("VERSION_ID", ""),
        name=values.get("PRETTY_NAME") or values.get("NAME", "Linux"),
        architecture=architecture(files),
        hostname=_hostname(files),
        package_manager=next((name for program, name in PACKAGE_MANAGERS.items() if files.stat(program)), None),
        init=_init(files),
    )


def assignments(text: str) -> dict[str, str]:
    """The variables of a file of shell assignments, such as os-release; lines that are none are passed over."""
    found = {}
    for line in text.splitlines():
        match = _ASSIGNMENT.match(line.strip())
        if match:
            found[match[1]] = _unquoted(match[2])
    return found


def architecture(files: GuestFiles) -> str:
    """The machine name of the guest's own programs, or `unknown`."""
    for path in _PROGRAMS:
        found = files.stat(path)
        head = files.part(path, 0, 20) if found is not None and found.kind is FileKind.FILE else b""
        if head.startswith(b"\x7fELF") and len(head) == 20:
            order = ">" if head[5] == 2 else "<"
            return MACHINES.get(struct.unpack(f"{order}H", head[18:20])[0], "unknown")
    return "unknown"


def _unquoted(value: str) -> str:
    try:
        return "".join(shlex.split(value)[:1])
    except ValueError:
        return value.strip("\"'")


def _family(values: Mapping[str, str]) -> Family:
    names = [values.get("ID", ""), *values.get("ID_LIKE", "").split()]
    return next((FAMILIES[name] for name in names if name in FAMILIES), Family.UNKNOWN)


def _hostname(files: GuestFiles) -> str | None:
    if files.stat("/etc/hostname") is None:
        return None
    lines = files.read("/etc/hostname").decode("utf-8", "replace").split("\n")
    names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return names[0] if names else None


def _init(files: GuestFiles) -> str | None:
    found = files.lstat("/sbin/init")
    target = files.readlink("/sbin/init") if found is not None and found.kind is FileKind.LINK else ""
    if "systemd" in target:
        return "systemd"
    if files.stat("/sbin/openrc") is not None:
        return "openrc"
    return "sysvinit" if found is not None and files.stat("/etc/inittab") is not None else None
