"""mdadm's lists of the disks that arrays may be on (mdadm.conf(5)): they name disks by the old controller.

DEVICE lines and the word devices= of ARRAY lines are meant. They count at each start, within the initramfs too: what they
do not name is no part of any array.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from hyper2kvm.guest.description import BlockDevice
from hyper2kvm.guest.devices import DeviceNames
from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.fixer import Fixer, Situation
from hyper2kvm.guest.linux import mdadm, reading
from hyper2kvm.guest.linux.devicenames import Renamed
from hyper2kvm.guest.linux.mdadm import Word
from hyper2kvm.guest.linux.renaming import DeviceRenaming

MEMBER = "linux_raid_member"

ALL = "partitions containers"
"""What a DEVICE line means that lets in every disk: the default of a configuration without one."""

_WILD = re.compile(r"[*?[]")
_IDENTITIES = frozenset({"uuid", "name"})
"""What identifies an array wherever its disks are."""


def renamed(text: str, situation: Situation) -> Renamed[int]:
    """The text without lists of disks by names that change with the controller.

    What is unknown are the numbers of the lines, from 1, whose array nothing but such names identifies.
    """
    members, lines = _Members(situation), mdadm.lines(text)
    listed = [line[1:] for line in lines if mdadm.is_keyword(line[0], "DEVICES") and len(line) > 1]
    if members.all_let_in([word.value for words in listed for word in words]):
        listed = []
    named = [(line, word) for line in lines if mdadm.is_keyword(line[0], "ARRAY") for word in members.old_lists(line)]
    known = [(word, identity) for line, word in named if (identity := _identity(line))]
    unknown = [text.count("\n", 0, word.start) + 1 for line, word in named if not _identity(line)]
    reasons = [_device_reason(words) for words in listed] + [_array_reason(word, identity) for word, identity in known]
    dropped = [word for words in listed for word in words[1:]] + [word for word, _ in known]
    return Renamed(_edited(text, [words[0] for words in listed], dropped), tuple(reasons), tuple(unknown))


@dataclass(frozen=True)
class _Member:
    device: BlockDevice
    new_name: str


class _Members:
    """What the guest's arrays consist of, as far as it is on disks and partitions."""

    def __init__(self, situation: Situation) -> None:
        renaming = DeviceRenaming(situation)
        self._names = DeviceNames(situation.machine, situation.guest.devices)
        self._members = tuple(
            _Member(device, new_name)
            for device in situation.guest.devices
            if device.type == MEMBER and self._names.moves(device.device) and (new_name := renaming.new_name(device))
        )

    def all_let_in(self, entries: Sequence[str]) -> bool:
        """Whether the entries of DEVICE lines name every member on the new machine too; without lines everything does."""
        if not entries or "partitions" in map(str.lower, entries):
            return True
        return all(any(self._names_it(entry, member) for entry in entries) for member in self._members)

    def old_lists(self, line: Sequence[Word]) -> list[Word]:
        """The words of an ARRAY line that list disks by the old controller's names."""
        lists = [word for word in line[1:] if _key(word) == "devices" and self._members]
        return [word for word in lists if any(map(self._is_old, word.value.partition("=")[2].split(",")))]

    def _is_old(self, entry: str) -> bool:
        if not _WILD.search(entry):
            return self._names.moves(entry)
        return not any(self._names_it(entry, member) for member in self._members)

    def _names_it(self, entry: str, member: _Member) -> bool:
        if _WILD.search(entry):
            return fnmatchcase(member.new_name, entry)
        return not self._names.moves(entry) and self._names.find(entry) == member.device


def _key(word: Word) -> str:
    return word.value.partition("=")[0].lower()


def _identity(line: Sequence[Word]) -> Word | None:
    return next((word for word in line[1:] if _key(word) in _IDENTITIES), None)


def _device_reason(words: Sequence[Word]) -> str:
    names = ", ".join(word.value for word in words)
    return f"mdadm looks for arrays on {names} only, and the new controller's disks have other names"


def _array_reason(word: Word, identity: Word) -> str:
    return f"{word.value} names disks that change with the controller; {identity.value} identifies the array"


def _edited(text: str, replaced: Sequence[Word], dropped: Sequence[Word]) -> str:
    """The text with ALL in place of some words, and without others."""
    for word in sorted([*replaced, *dropped], key=lambda each: each.start, reverse=True):
        text = text[: word.start] + ALL + text[word.end :] if word in replaced else _without(text, word)
    return text


def _without(text: str, word: Word) -> str:
    """The text without a word and the blanks before it; the rest of its line joins no comment of the line above."""
    before, after = text[: word.start], text[word.end :]
    first = before.rstrip(" \t").endswith("\n")
    if first and after.partition("\n")[0].strip():
        return before + after.lstrip(" \t")
    return before.rstrip(" \t\r\n") + after


def _plan(draft: Draft, situation: Situation) -> None:
    paths = list(dict.fromkeys(draft.resolve(path) for each in mdadm.PLACES for path in reading.matching(draft, each)))
    for path in paths:
        found = renamed(draft.text(path), situation)
        if not found.reasons and not found.unknown:
            draft.note(f"{path} names no disk that changes with the controller")
        draft.write(path, found.text, *found.reasons)
        for line in found.unknown:
            draft.warn(
                "DeviceNameStays",
                f"{path} line {line}: an array is identified by names of disks alone, which change with the controller",
                "Identify the array by UUID= there in the guest, as `mdadm --detail --scan` prints it, and make its "
                "initramfs anew.",
            )


FIXER = Fixer("mdadm devices", lambda situation: situation.options.stable_device_names, _plan)
