"""Device names inside of a text: in mount options, in the fields of crypttab, on kernel command lines."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from hyper2kvm.guest.linux.renaming import DeviceRenaming

PATTERN = r"""/dev/disk/by-path/[^\s"',;]+?(?:-part\d+(?!\d)|(?=:/|[\s"',;]|$))|/dev/[^\s"',;:]+"""
"""A path of a device. By-path names hold colons, which elsewhere end a name: `/dev/sdb1:/key`."""

MEMBERS = frozenset({"device"})
"""Options that name one of several devices under the same UUID (btrfs(5))."""

_NAME = re.compile(PATTERN)
_OPTION = re.compile(rf"(?:(?<=[,\s\"'])|^)(?P<key>[\w.-]+)=(?P<device>{PATTERN})")

Unknown = TypeVar("Unknown")


@dataclass(frozen=True)
class Renamed(Generic[Unknown]):
    """A text with other device names.

    Attributes:
        text: the text; what is not a name that moves is as it was.
        reasons: why each name was replaced.
        unknown: names that move and are on none of the machine's disks, or where they stand.
    """

    text: str
    reasons: tuple[str, ...]
    unknown: tuple[Unknown, ...]


def find(text: str) -> Iterator[str]:
    """The device names in a text."""
    return (match[0] for match in _NAME.finditer(text))


def renamed(text: str, renaming: DeviceRenaming) -> Renamed[str]:
    """A text in which every name that moves is a path that stays: options of a mount, or of an encrypted volume.

    The kernel and most programs take paths there and no tags such as `UUID=`.
    """
    members = frozenset(match["device"] for match in _OPTION.finditer(text) if match["key"] in MEMBERS)
    reasons, unknown = dict[str, None](), dict[str, None]()

    def path(match: re.Match[str]) -> str:
        name = match[0]
        if not renaming.moves(name):
            return name
        stable = renaming.partition(name) if name in members else renaming.stable(name)
        if stable is None:
            unknown[name] = None
            return name
        reasons[stable.reason(name)] = None
        return stable.path

    return Renamed(_NAME.sub(path, text), tuple(reasons), tuple(unknown))
