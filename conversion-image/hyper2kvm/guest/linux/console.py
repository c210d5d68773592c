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
_LINE_END = " \t\r\n\\"  # a backslash there joins the next line
_REASON = "a console on the first serial port was asked for; the graphical one stays"
_ASSIGNED = re.compile(r"^[^#\n]*\bGRUB_CMDLINE_LINUX\+?=", re.MULTILINE)
_GRUB_CMDLINE = re.compile(
    r"""^(?P<name>[ \t]*(?:export[ \t]+)?GRUB_CMDLINE_LINUX=)
    (?:"(?P<double>(?:[^"\\]|\\.)*)" | '(?P<single>[^']*)' | (?P<bare>[^\s"'\\`;&|<>()]*))
    (?=[ \t\r]*(?:;|$) | [ \t]+\#)""",
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
"""The variable and one word of the shell, behind which the line or the command ends."""

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
    text = line.rstrip(_LINE_END)
    return f"{text}{' ' if text else ''}{added} console=tty0{line[len(text) :]}"


def with_grub_default(text: str, port: str) -> str | None:
    """/etc/default/grub with the console in GRUB_CMDLINE_LINUX, which every menu entry gets.

    None where the last assignment of the variable is more than one word of the shell.
    """
    assigned = list(_ASSIGNED.finditer(text))
    if not assigned:
        gap = "" if text.endswith("\n") or not text else "\n"
        return f'{text}{gap}GRUB_CMDLINE_LINUX="{with_console("", port)}"\n'
    last = _GRUB_CMDLINE.match(text, assigned[-1].start())
    if last is None:
        return None
    quote = "'" if last["single"] is not None else '"'
    value = last["double"] or last["single"] or last["bare"] or ""
    added = with_console(value, port)
    return text if added == value else f"{text[: last.start()]}{last['name']}{quote}{added}{quote}{text[last.end() :]}"


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
        _next_menu(draft, port)
    if draft.is_file(INITTAB) and system is not None and system.init == "sysvinit":
        text = with_getty(draft.text(INITTAB), port)
        draft.write(INITTAB, text, _REASON)


def _next_menu(draft: Draft, port: str) -> None:
    text = with_grub_default(draft.text(DEFAULTS), port)
    if text is not None:
        draft.write(DEFAULTS, text, _REASON)
        return
    draft.warn(
        "ConsoleNotAdded",
        f"{DEFAULTS} sets GRUB_CMDLINE_LINUX in a way that is not understood: the next menu that the guest makes may lack "
        f"the console on {port}",
        f"Add {with_console('', port)} to GRUB_CMDLINE_LINUX in the guest.",
    )


FIXER = Fixer("serial console", lambda situation: situation.options.serial_console, _plan)
