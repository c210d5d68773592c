"""A console on the first serial port, beside the graphical one (Linux, admin-guide/serial-console.rst).

The last `console=` becomes /dev/console, so the graphical one stays last; systemd starts a login on every serial
console that the kernel has, other inits need an entry in /etc/inittab.
"""

import re
from collections.abc import Mapping

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.fixer import Fixer, Situation
from hyper2kvm.guest.linux import arguments

PORTS: Mapping[str, str] = {"aarch64": "ttyAMA0", "armv7l": "ttyAMA0", "s390x": "ttysclp0", "ppc64le": "hvc0"}
"""First serial port of QEMU's usual machine by architecture; elsewhere it is ttyS0."""

DEFAULTS = "/etc/default/grub"
INITTAB = "/etc/inittab"

_RATE = "115200"
_REASON = "a console on the first serial port was asked for; the graphical one stays"
_GRUB_CMDLINE = re.compile(
    r"^(?P<name>[ \t]*(?:export[ \t]+)?GRUB_CMDLINE_LINUX=)(?P<quote>[\"']?)(?P<value>.*?)(?P=quote)"
    r"(?P<after>[ \t\r]*(?:#.*)?)$",
    re.MULTILINE,
)
_CONSOLE = re.compile(r"(?<!\S)console=(\S+)")
_GRAPHICAL = re.compile(r"(?<!\S)console=tty[0-9]*(?!\S)")
_OTHER_PROGRAM = re.compile(r"\s*linux(16|efi)?\s+\S*(memtest|ipxe|memdisk)")


def with_console(line: str, port: str) -> str:
    """A command line with a console on the port, and the graphical one behind it; as it was when it has the port."""
    if any(value.split(",")[0] == port for value in _CONSOLE.findall(line)):
        return line
    added = f"console={port},{_RATE}n8"
    graphical = _GRAPHICAL.search(line)
    if graphical:
        return f"{line[: graphical.start()]}{added} {line[graphical.start() :]}"
    text = line.rstrip()
    return f"{text}{' ' if text else ''}{added} console=tty0{line[len(text) :]}"


def with_grub_default(text: str, port: str) -> str:
    """/etc/default/grub with the console in GRUB_CMDLINE_LINUX, which every menu entry gets."""
    matches = list(_GRUB_CMDLINE.finditer(text))
    if not matches:
        gap = "" if text.endswith("\n") or not text else "\n"
        return f'{text}{gap}GRUB_CMDLINE_LINUX="{with_console("", port)}"\n'
    last = matches[-1]
    quote = last["quote"] or '"'
    value = f"{last['name']}{quote}{with_console(last['value'], port)}{quote}{last['after']}"
    return (
        text[: last.start()] + value + text[last.end() :]
        if with_console(last["value"], port) != last["value"]
        else text
    )


def with_getty(text: str, port: str) -> str:
    """/etc/inittab (inittab(5)) with a login on the port."""
    if any(port in line and not line.lstrip().startswith("#") for line in text.split("\n")):
        return text
    gap = "" if text.endswith("\n") or not text else "\n"
    return f"{text}{gap}T0:23:respawn:/sbin/getty -L {port} {_RATE} vt100\n"


def _plan(draft: Draft, situation: Situation) -> None:
    system = situation.guest.os
    port = PORTS.get(system.architecture, "ttyS0") if system else "ttyS0"
    kernel_cmdline = {path: lines for path, lines in arguments.SETTINGS.items() if path == "/etc/kernel/cmdline"}
    for path, lines in arguments.files(draft, arguments.MENUS, kernel_cmdline):
        text = arguments.edit_lines(
            draft.text(path), lines, lambda line: line if _OTHER_PROGRAM.match(line) else with_console(line, port)
        )
        draft.write(path, text, _REASON)
    if draft.is_file(DEFAULTS):
        text = with_grub_default(draft.text(DEFAULTS), port)
        draft.write(DEFAULTS, text, _REASON)
    if draft.is_file(INITTAB) and system is not None and system.init == "sysvinit":
        text = with_getty(draft.text(INITTAB), port)
        draft.write(INITTAB, text, _REASON)


FIXER = Fixer("serial console", lambda situation: situation.options.serial_console, _plan)
