"""Linux software RAIDs by the names that the guest gives them (mdadm.conf(5)).

The appliance assembles arrays without the guest's configuration and numbers them itself: what the guest calls /dev/md0
is /dev/md127 there.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hyper2kvm.guest.description import BlockDevice
from hyper2kvm.guest.files import GuestFiles
from hyper2kvm.guest.linux import reading

PATHS = ("/etc/mdadm/mdadm.conf", "/etc/mdadm.conf")
"""Debian's place, and that of others."""

PLACES = (*PATHS, *(f"{path}.d/*.conf" for path in PATHS))
"""All that mdadm reads, as patterns (mdadm(8), option --config)."""

_COMMENT = re.compile(r"[ \t\r]*#")
_WORD = re.compile(r"""(?:"[^"\n]*"|'[^'\n]*'|[^ \t\r\n"'])+""")
_QUOTE = re.compile(r"""["']""")
_MIN_KEYWORD = 3
"""Characters to which a keyword may be abbreviated."""

_NUMBERED = re.compile(r"/dev/md/?(\d+)")


@dataclass(frozen=True)
class Word:
    """A word of a configuration.

    Attributes:
        value: the word without quotation marks.
        start: where it begins in the text.
        end: where it ends.
    """

    value: str
    start: int
    end: int


def lines(text: str) -> list[list[Word]]:
    """The lines of a configuration, each a keyword and its words: a line that begins with a blank continues another."""
    found: list[list[Word]] = []
    start = 0
    for line in text.split("\n"):
        words = list(_words(text, start, start + len(line)))
        if words and found and line[0] in " \t":
            found[-1] += words
        elif words:
            found.append(words)
        start += len(line) + 1
    return found


def is_keyword(word: Word, keyword: str) -> bool:
    """Whether a word is a keyword, which may be abbreviated and in small letters."""
    return len(word.value) >= _MIN_KEYWORD and keyword.startswith(word.value.upper())


def find(files: GuestFiles, devices: Sequence[BlockDevice]) -> dict[str, BlockDevice]:
    """The guest's arrays by every name that the guest knows of them.

    Args:
        files: the guest's files, the root at least.
        devices: what was found on its disks.
    """
    arrays = [device for device in devices if device.raid_uuid]
    if not arrays:
        return {}
    texts = (text for place in PLACES for _, text in reading.texts(files, place))
    stated = {name: array for text in texts for name, array in _stated(text, arrays)}
    by_default = {name: array for array in arrays for name in _names(f"/dev/md/{_bare(array.raid_name or '')}")}
    return by_default | stated


def _stated(text: str, arrays: Sequence[BlockDevice]) -> Iterator[tuple[str, BlockDevice]]:
    for line in lines(text):
        words = [word.value for word in line]
        if len(words) < 3 or not is_keyword(line[0], "ARRAY"):
            continue
        values = {key.lower(): value for key, _, value in (word.partition("=") for word in words[2:])}
        array = next((each for each in arrays if _is_meant(each, values)), None)
        if array is not None:
            place = words[1] if words[1].startswith("/") else f"/dev/md/{words[1]}"
            yield from ((name, array) for name in _names(place))


def _words(text: str, start: int, end: int) -> Iterator[Word]:
    while not _COMMENT.match(text, start, end) and (match := _WORD.search(text, start, end)):
        yield Word(_QUOTE.sub("", match[0]), match.start(), match.end())
        start = match.end()


def _is_meant(array: BlockDevice, values: Mapping[str, str]) -> bool:
    if "uuid" in values:
        return _digits(values["uuid"]) == _digits(array.raid_uuid or "")
    return "name" in values and _bare(values["name"]) == _bare(array.raid_name or "")


def _names(place: str) -> tuple[str, ...]:
    """/dev/md0 and /dev/md/0 are the same (mdadm(8), section Device Names)."""
    numbered = _NUMBERED.fullmatch(place)
    return (f"/dev/md{numbered[1]}", f"/dev/md/{numbered[1]}") if numbered else (place,)


def _bare(name: str) -> str:
    """A name without the host that made the array: `0` of `web01:0`."""
    return name.rpartition(":")[2]


def _digits(uuid: str) -> str:
    return re.sub(r"[^0-9a-f]", "", uuid.lower())
