"""/etc/crypttab (crypttab(5)): rewritten where it names devices that change with the controller."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.fixer import Fixer, Situation
from hyper2kvm.guest.linux.renaming import DeviceRenaming, StableName

PATH = "/etc/crypttab"

_LIVE = re.compile(r"(?P<before>\s*[^\s#]\S*\s+)(?P<source>\S+)(?P<after>.*)", re.DOTALL)
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


def rewrite(text: str, line: int, source: str) -> str:
    """The text with another source on a line. Every other byte stays."""
    lines = text.split("\n")
    match = _LIVE.match(lines[line - 1])
    if match:
        lines[line - 1] = match["before"] + source + match["after"]
    return "\n".join(lines)


def moved_sources(text: str, renaming: DeviceRenaming) -> Iterator[tuple[CrypttabEntry, StableName | None]]:
    """The entries whose sources change with the controller, with what to write instead, where that is known."""
    for entry in parse(text):
        if renaming.moves(entry.source):
            # A random key writes the partition anew at each boot: no UUID of its content lasts.
            volatile = entry.key in _RANDOM_KEYS
            yield entry, renaming.partition(entry.source) if volatile else renaming.stable(entry.source)


def _entries(text: str) -> Iterator[CrypttabEntry]:
    for number, line in enumerate(text.split("\n"), 1):
        fields = line.split()
        if len(fields) >= 2 and not fields[0].startswith("#"):
            yield CrypttabEntry(fields[0], fields[1], fields[2] if len(fields) > 2 else "none", number)


def _plan(draft: Draft, situation: Situation) -> None:
    if not draft.is_file(PATH):
        return
    renaming = DeviceRenaming(situation)
    moved = list(moved_sources(draft.text(PATH), renaming))
    if not moved:
        draft.note(f"{PATH} names no device that changes with the controller")
    for entry, stable in moved:
        if stable is None:
            draft.warn(
                "DeviceNotFound",
                f"{PATH} line {entry.line}: {entry.source} for {entry.name} is on none of the machine's disks",
                "Add the disk to the machine, or remove the line or give it the option nofail in the guest.",
            )
            continue
        text = rewrite(draft.text(PATH), entry.line, stable.spec)
        draft.write(PATH, text.encode("utf-8", "surrogateescape"), stable.reason(entry.source))


FIXER = Fixer("crypttab", lambda situation: situation.options.stable_device_names, _plan)
