"""Kernel command lines wherever they are written: boot loaders' menus and what the menus are made from."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.linux import devicenames

_GRUB_MENU = re.compile(r"\s*linux(16|efi)?\s")
_SHELL_VARIABLE = re.compile(r"\s*(export\s+)?(GRUB_CMDLINE_\w+|EXTLINUX_\w+|U_BOOT_\w+)=")
_SYSLINUX_MENU = re.compile(r"\s*append\s", re.IGNORECASE)
_BLS_OPTIONS = re.compile(r"\s*options\s")
_WHOLE = re.compile(r"\s*[^\s#]")
_RESUME = re.compile(r"\s*(RESUME|ROOT)=")

MENUS: Mapping[str, re.Pattern[str]] = {
    "/boot/grub/grub.cfg": _GRUB_MENU,
    "/boot/grub/custom.cfg": _GRUB_MENU,
    "/boot/grub2/grub.cfg": _GRUB_MENU,
    "/boot/efi/EFI/*/grub.cfg": _GRUB_MENU,
    "/efi/EFI/*/grub.cfg": _GRUB_MENU,
    "/boot/extlinux/*.conf": _SYSLINUX_MENU,
    "/boot/extlinux/*.cfg": _SYSLINUX_MENU,
    "/boot/syslinux/*.cfg": _SYSLINUX_MENU,
    "/boot/loader/entries/*.conf": _BLS_OPTIONS,
    "/boot/efi/loader/entries/*.conf": _BLS_OPTIONS,
    "/efi/loader/entries/*.conf": _BLS_OPTIONS,
}
"""Files that boot loaders read, as patterns, with what begins a line that holds a command line."""

SETTINGS: Mapping[str, re.Pattern[str]] = {
    "/etc/default/grub": _SHELL_VARIABLE,
    "/etc/default/grub.d/*.cfg": _SHELL_VARIABLE,
    "/etc/grub.d/4*_custom": _GRUB_MENU,
    "/etc/default/extlinux": _SHELL_VARIABLE,
    "/etc/default/u-boot": _SHELL_VARIABLE,
    "/etc/kernel/cmdline": _WHOLE,
}
"""Files that menus are made from when the guest updates them."""

INITRAMFS_SETTINGS: Mapping[str, re.Pattern[str]] = {
    "/etc/initramfs-tools/conf.d/*": _RESUME,
    "/etc/initramfs-tools/initramfs.conf": _RESUME,
}
"""Files of initramfs-tools that name devices."""

INSIDE_INITRAMFS: Mapping[re.Pattern[str], re.Pattern[str]] = {
    re.compile(r"conf/conf\.d/[^/]+|conf/initramfs\.conf"): _RESUME,
    re.compile(r"etc/cmdline\.d/[^/]+\.conf|etc/cmdline"): _WHOLE,
}
"""Files within an initramfs that do, by path: initramfs-tools' and dracut's."""

TAGGED = frozenset({"root", "resume", "mount.usr", "boot", "ROOT", "RESUME", "cryptdevice", "source"})
"""Arguments that take tags such as UUID= in place of a path: the kernel's, dracut's (`boot`), those of the encrypt hook
of mkinitcpio (`cryptdevice`) and of cryptsetup-initramfs (`source`, in cryptopts)."""

PATHS = frozenset({"device", "logdev", "rtdev", "journal_path", "header"})
"""Those that take paths alone, most of them within rootflags."""

_DEVICE = re.compile(
    rf"""(?<![^\s"'=,])(?P<key>{"|".join(sorted(map(re.escape, TAGGED | PATHS)))})=["']?(?P<device>{devicenames.PATTERN})"""
)


@dataclass(frozen=True)
class DeviceArgument:
    """A device that a command line names.

    Attributes:
        key: the argument, such as `root`.
        device: the value as written.
        line: number of the line, from 1.
    """

    key: str
    device: str
    line: int


def devices(text: str, lines: re.Pattern[str]) -> Iterator[DeviceArgument]:
    """The devices that the command lines of a file name, on the lines that the pattern begins."""
    for number, line in enumerate(text.split("\n"), 1):
        if lines.match(line):
            for match in _DEVICE.finditer(line):
                yield DeviceArgument(match["key"], match["device"], number)


def others(text: str, lines: re.Pattern[str]) -> Iterator[DeviceArgument]:
    """The device names on the same lines that stand in no argument of TAGGED or PATHS; their key is empty."""
    for number, line in enumerate(text.split("\n"), 1):
        if lines.match(line):
            known = {match["device"] for match in _DEVICE.finditer(line)}
            yield from (DeviceArgument("", name, number) for name in devicenames.find(line) if name not in known)


def replaced(text: str, argument: DeviceArgument, device: str) -> str:
    """The text with another device in place of an argument's. Every other byte stays."""
    lines = text.split("\n")
    lines[argument.line - 1] = _DEVICE.sub(
        lambda match: _with(match, device) if (match["key"], match["device"]) == _identity(argument) else match[0],
        lines[argument.line - 1],
    )
    return "\n".join(lines)


def files(draft: Draft, *tables: Mapping[str, re.Pattern[str]]) -> Iterator[tuple[str, re.Pattern[str]]]:
    """The files of the tables that the guest has, each once, with the pattern of their lines."""
    seen: set[str] = set()
    for pattern, lines in (row for table in tables for row in table.items()):
        for path in draft.glob(pattern):
            real = draft.resolve(path)
            if real not in seen and draft.is_file(path):
                seen.add(real)
                yield path, lines


def edit_lines(text: str, lines: re.Pattern[str], change: Callable[[str], str]) -> str:
    """The text with `change` applied to the lines that the pattern begins (without their line ends)."""
    return "\n".join(change(line) if lines.match(line) else line for line in text.split("\n"))


def _identity(argument: DeviceArgument) -> tuple[str, str]:
    return argument.key, argument.device


def _with(match: re.Match[str], device: str) -> str:
    start = match.start("device") - match.start()
    return match[0][:start] + device + match[0][start + len(match["device"]) :]
