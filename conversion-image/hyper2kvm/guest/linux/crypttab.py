"""/etc/crypttab (crypttab(5)): rewritten where it names devices that change with the controller."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.fixer import Fixer, Situation
from hyper2kvm.guest.linux import devicenames
from hyper2kvm.guest.linux.devicenames import Renamed
from hyper2kvm.guest.linux.renaming import DeviceRenaming

PATH = "/etc/crypttab"

_LIVE = re.compile(
    r"(?P<before>[ \t]*[^\s#][^ \t]*[ \t]+)(?P<source>[^ \t\r]+)(?P<after>.*)",
    re.DOTALL,
)
_FIELD = re.compile(r"[^ \t\r\n]+")
_RANDOM_KEYS = {"/dev/urandom", "/dev/random", "/dev/hwrng"}


@dataclass(frozen=True)
class CrypttabEntry:
    """A live line.

    Attributes:
        name: name of the volume below /dev/mapper.
        source: the encrypted device.
        key: key file; `none` for a passphrase.
        line: number of the line, from 1.
    """

    name: str
    source: str
    key: str
    line: int


def parse(text: str) -> tuple[CrypttabEntry, ...]:
    """The live entries."""
    return tuple(_entries(text))


def renamed(text: str, renaming: DeviceRenaming) -> Renamed[tuple[CrypttabEntry, str]]:
    """The text with names that stay in place of those that change with the controller.

    Besides the encrypted device a line may name one with its key (`/dev/sdb1:/key`, Debian's passdev; `/key:/dev/sdb1`,
    systemd) and one with its header (`header=/dev/sdb1`).
    """
    reasons, unknown = list[str](), list[tuple[CrypttabEntry, str]]()
    lines = text.split("\n")
    for entry in parse(text):
        match = _LIVE.match(lines[entry.line - 1])
        if match is None:
            continue
        source, after = entry.source, devicenames.renamed(match["after"], renaming)
        reasons += after.reasons
        unknown += [(entry, name) for name in after.unknown]
        if renaming.moves(source):
            # A random key writes the partition anew at each boot: no UUID of its content lasts.
            volatile = entry.key in _RANDOM_KEYS
            stable = renaming.partition(source) if volatile else renaming.stable(source)
            if stable is None:
                unknown.append((entry, source))
            else:
                reasons.append(stable.reason(source))
                source = stable.spec
        lines[entry.line - 1] = match["before"] + source + after.text
    return Renamed("\n".join(lines), tuple(reasons), tuple(unknown))


def _entries(text: str) -> Iterator[CrypttabEntry]:
    for number, line in enumerate(text.split("\n"), 1):
        fields = _FIELD.findall(line)
        if len(fields) >= 2 and not fields[0].startswith("#"):
            yield CrypttabEntry(fields[0], fields[1], fields[2] if len(fields) > 2 else "none", number)


def _plan(draft: Draft, situation: Situation) -> None:
    if not draft.is_file(PATH):
        return
    found = renamed(draft.text(PATH), DeviceRenaming(situation))
    if not found.reasons and not found.unknown:
        draft.note(f"{PATH} names no device that changes with the controller")
    draft.write(PATH, found.text, *found.reasons)
    for entry, name in found.unknown:
        draft.warn(
            "DeviceNotFound",
            f"{PATH} line {entry.line}: {name} for {entry.name} is on none of the machine's disks",
            "Add the disk to the machine, or remove the line or give it the option nofail in the guest.",
        )


FIXER = Fixer("crypttab", lambda situation: situation.options.stable_device_names, _plan)
