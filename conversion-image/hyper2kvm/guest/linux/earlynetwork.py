"""Interfaces that an initramfs is told to use, for a root file system or a key that is elsewhere (dropbear, clevis).

The kernel's `ip=` names one in its sixth field (Linux, Documentation/admin-guide/nfs/nfsroot.rst), dracut's in its first
as well (dracut.cmdline(7)), initramfs-tools in IP= and DEVICE= (initramfs.conf(5)). The names alone are read: addresses
may be in use during the start only.
"""

import re
from collections.abc import Iterator, Mapping

from hyper2kvm.guest.files import GuestFiles
from hyper2kvm.guest.linux import arguments, reading
from hyper2kvm.guest.linux.interface import Interface, is_software, mac_address

_BACK_END = "initramfs"
_SETTING = re.compile(r"\s*(IP|DEVICE)=")
_FILES: Mapping[str, re.Pattern[str]] = {
    **arguments.MENUS,
    **arguments.SETTINGS,
    "/etc/initramfs-tools/initramfs.conf": _SETTING,
    "/etc/initramfs-tools/conf.d/*": _SETTING,
}
_IPV6 = re.compile(r"\[[^\]\s]*\]")
_NAMED = re.compile(
    r"""(?<![^\s"'])(?:
        (?:ip|IP)=["']?(?:(?P<first>[A-Za-z][\w.-]*):[a-z]|(?:[^\s:]*:){5}(?P<sixth>[\w.-]+))
        |DEVICE=["']?(?P<only>[\w.-]+)
        |ifname=(?P<given>[\w.-]+):(?P<mac>(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2})
    )""",
    re.VERBOSE,
)
_NO_NAMES = frozenset({"all", "any", "none", "off"})


def find(files: GuestFiles) -> Iterator[Interface]:
    """The interfaces that command lines and the settings of initramfs-tools name, each once a file."""
    for pattern, lines in _FILES.items():
        for path, text in reading.texts(files, pattern):
            named = (each for line in text.split("\n") if lines.match(line) for each in _named(line))
            yield from (
                Interface(_BACK_END, path, name, mac=mac, virtual=is_software(name))
                for name, mac in dict.fromkeys(named)
            )


def _named(line: str) -> Iterator[tuple[str, str | None]]:
    """The names on a line, with the MAC address that dracut's `ifname=` gives one to."""
    for match in _NAMED.finditer(_IPV6.sub("", line)):
        name = match["first"] or match["sixth"] or match["only"] or match["given"]
        if name not in _NO_NAMES:
            yield name, mac_address(match["mac"])
