"""Boot Loader Specification entries, type 1: what systemd-boot reads, and GRUB on some distributions.

Source of the format: uapi-group.org, Boot Loader Specification.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from hyper2kvm.guest.files import GuestFiles
from hyper2kvm.guest.firmware import ESP_FOLDERS
from hyper2kvm.guest.linux import reading

RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]*")
"""What a kernel's release looks like: a plain file name."""


@dataclass(frozen=True)
class Entry:
    """A menu entry.

    Attributes:
        path: its file in the guest.
        version: the kernel's release; None when it does not say.
        linux: the kernel image's path in the guest; None for an entry that starts something else.
        initrds: paths of its initramfs images in the guest, in order.
    """

    path: str
    version: str | None
    linux: str | None
    initrds: tuple[str, ...]


def find(files: GuestFiles) -> tuple[Entry, ...]:
    """The entries of every partition that may hold some, sorted by path."""
    return tuple(_entries(files))


def _entries(files: GuestFiles) -> Iterator[Entry]:
    for partition in ESP_FOLDERS:
        for path, text in reading.texts(files, f"{partition}/loader/entries/*.conf"):
            yield _entry(path, partition, text)


def _entry(path: str, partition: str, text: str) -> Entry:
    pairs = [(words[0], words[1].strip()) for words in (line.split(None, 1) for line in text.split("\n")) if words[1:]]
    values = dict(pairs)
    linux, version = values.get("linux"), values.get("version", "")
    return Entry(
        path=path,
        version=version if RELEASE.fullmatch(version) else None,
        linux=_below(partition, linux) if linux else None,
        initrds=tuple(
            _below(partition, value) for key, values_ in pairs if key == "initrd" for value in values_.split()
        ),
    )


def _below(partition: str, path: str) -> str:
    return posixpath.normpath(f"{partition}/{posixpath.normpath('/' + path)}")
