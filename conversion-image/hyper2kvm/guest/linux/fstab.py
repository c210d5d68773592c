"""/etc/fstab (fstab(5)): parsed, and rewritten where it names devices that change with the controller."""

import re
from dataclasses import dataclass

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.fixer import Fixer, Situation
from hyper2kvm.guest.linux import devicenames
from hyper2kvm.guest.linux.devicenames import Renamed
from hyper2kvm.guest.linux.renaming import DeviceRenaming
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.reasons import Reason

PATH = "/etc/fstab"

# Blanks and tabs alone separate fields, and these four characters alone are written as octal numbers (getmntent(3)).
_FIELD = re.compile(r"[^ \t\r\n]+")
_ESCAPED = re.compile(rb"\\([0-3][0-7]{2})")
_TO_ESCAPE = re.compile(r"[ \t\n\\]")
_SPEC, _OPTIONS = 0, 3


@dataclass(frozen=True)
class FstabEntry:
    """A live line.

    Attributes:
        spec: what is mounted, such as `UUID=…` or `/dev/sda1`.
        path: where; `none` for swap.
        type: type of the file system.
        options: mount options.
        line: number of the line, from 1.
    """

    spec: str
    path: str
    type: str
    options: tuple[str, ...]
    line: int


def parse(text: str) -> tuple[FstabEntry, ...]:
    """The live entries: comments and lines without a mount point are passed over."""
    found = (_entry(line, number) for number, line in enumerate(text.split("\n"), 1))
    return tuple(entry for entry in found if entry is not None)


def root_name(text: str) -> str | None:
    """What the root file system is called; None when no entry mounts it."""
    return next((entry.spec for entry in parse(text) if entry.path == "/"), None)


def renamed(text: str, renaming: DeviceRenaming) -> Renamed[tuple[FstabEntry, str]]:
    """The text with names that stay in place of those that change with the controller: specs, and those in options."""
    reasons, unknown = list[str](), list[tuple[FstabEntry, str]]()
    for entry in parse(text):
        if renaming.moves(entry.spec):
            # Which disk is sda depends on the order in which controllers' drivers load; where this file stands does not.
            stable = (renaming.root() if entry.path == "/" else None) or renaming.stable(entry.spec)
            if stable is None:
                unknown.append((entry, entry.spec))
            else:
                reasons.append(stable.reason(entry.spec))
                text = _with_field(text, entry.line, _SPEC, stable.spec)
        options = devicenames.renamed(",".join(entry.options), renaming)
        reasons += options.reasons
        unknown += [(entry, name) for name in options.unknown]
        if options.reasons:
            text = _with_field(text, entry.line, _OPTIONS, options.text)
    return Renamed(text, tuple(reasons), tuple(unknown))


def _entry(line: str, number: int) -> FstabEntry | None:
    fields = [_unescaped(field) for field in _FIELD.findall(line)]
    if len(fields) < 2 or fields[0].startswith("#"):
        return None
    fields += ["auto", "defaults"][len(fields) - 2 :]
    return FstabEntry(fields[0], fields[1], fields[2], tuple(fields[3].split(",")), number)


def _with_field(text: str, line: int, field: int, value: str) -> str:
    lines = text.split("\n")
    place = list(_FIELD.finditer(lines[line - 1]))[field]
    lines[line - 1] = lines[line - 1][: place.start()] + _escaped(value) + lines[line - 1][place.end() :]
    return "\n".join(lines)


def _unescaped(value: str) -> str:
    """A field's value. What the numbers stand for are bytes, of which several may make one character."""
    raw = _ESCAPED.sub(lambda match: bytes([int(match[1], 8)]), value.encode("utf-8", "surrogateescape"))
    return raw.decode("utf-8", "surrogateescape")


def _escaped(value: str) -> str:
    return _TO_ESCAPE.sub(lambda match: f"\\{ord(match[0]):03o}", value)


def _plan(draft: Draft, situation: Situation) -> None:
    if not draft.is_file(PATH):
        return
    found = renamed(draft.text(PATH), DeviceRenaming(situation))
    if not found.reasons and not found.unknown:
        draft.note(f"{PATH} names no device that changes with the controller")
    draft.write(PATH, found.text, *found.reasons)
    for entry, name in found.unknown:
        _unmapped(draft, entry, name)


def _unmapped(draft: Draft, entry: FstabEntry, name: str) -> None:
    message = f"{PATH} line {entry.line}: {name} on {entry.path} is on none of the machine's disks"
    if entry.path == "/" and name == entry.spec:
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
