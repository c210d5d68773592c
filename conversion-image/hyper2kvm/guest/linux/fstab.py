"""/etc/fstab (fstab(5)): parsed, and rewritten where it names devices that change with the controller."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.fixer import Fixer, Situation
from hyper2kvm.guest.linux.renaming import DeviceRenaming
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.reasons import Reason

PATH = "/etc/fstab"

_ESCAPE = re.compile(r"\\([0-3][0-7]{2})")
_LIVE = re.compile(r"(?P<indent>\s*)(?P<spec>[^\s#]\S*)(?P<rest>\s.*)", re.DOTALL)


@dataclass(frozen=True)
class FstabEntry:
    """A live line.

    Attributes:
        spec: what is mounted, such as `UUID=…` or `/dev/sda1`.
        path: where; `none` for swap.
        type: type of the file system.
        options: mount options.
        dump: the fifth field; 0 when absent or no number.
        pass_: the sixth field; 0 when absent or no number.
        line: number of the line, from 1.
    """

    spec: str
    path: str
    type: str
    options: tuple[str, ...]
    dump: int
    pass_: int
    line: int


def parse(text: str) -> tuple[FstabEntry, ...]:
    """The live entries: comments and lines without a mount point are passed over."""
    found = (_entry(line, number) for number, line in enumerate(text.split("\n"), 1))
    return tuple(entry for entry in found if entry is not None)


def rewrite(text: str, specs: Mapping[int, str]) -> str:
    """The text with other specs on the lines that the mapping numbers. Every other byte stays."""
    lines = text.split("\n")
    for number, spec in specs.items():
        match = _LIVE.match(lines[number - 1])
        if match:
            lines[number - 1] = match["indent"] + _escaped(spec) + match["rest"]
    return "\n".join(lines)


def _entry(line: str, number: int) -> FstabEntry | None:
    fields = [_unescaped(field) for field in line.split()]
    if len(fields) < 2 or fields[0].startswith("#"):
        return None
    fields += ["auto", "defaults", "0", "0"][len(fields) - 2 :]
    dump, pass_ = (int(value) if value.isdecimal() else 0 for value in fields[4:6])
    return FstabEntry(fields[0], fields[1], fields[2], tuple(fields[3].split(",")), dump, pass_, number)


def _unescaped(value: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), value)


def _escaped(value: str) -> str:
    return re.sub(r"[\s\\]", lambda match: f"\\{ord(match[0]):03o}", value)


def _plan(draft: Draft, situation: Situation) -> None:
    if not draft.is_file(PATH):
        return
    renaming = DeviceRenaming(situation)
    moving = [entry for entry in parse(draft.text(PATH)) if renaming.moves(entry.spec)]
    if not moving:
        draft.note(f"{PATH} names no device that changes with the controller")
    for entry in moving:
        stable = renaming.stable(entry.spec) or (renaming.root() if entry.path == "/" else None)
        if stable is None:
            _unmapped(draft, entry)
            continue
        text = rewrite(draft.text(PATH), {entry.line: stable.spec})
        draft.write(PATH, text.encode("utf-8", "surrogateescape"), stable.reason(entry.spec))


def _unmapped(draft: Draft, entry: FstabEntry) -> None:
    message = f"{PATH} line {entry.line}: {entry.spec} on {entry.path} is on none of the machine's disks"
    if entry.path == "/":
        raise GuestError(
            Reason.GUEST_FILE_INVALID, message, hint="Name the root file system by UUID= in the guest.", file=PATH
        )
    if "noauto" not in entry.options and "nofail" not in entry.options:
        draft.warn(
            "DeviceNotFound",
            message,
            "Add the disk to the machine, or remove the line or give it the option nofail in the guest: it would stop "
            "the boot.",
        )


FIXER = Fixer("fstab", lambda situation: situation.options.stable_device_names, _plan)
