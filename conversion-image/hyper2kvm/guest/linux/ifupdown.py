"""ifupdown's /etc/network/interfaces (interfaces(5)) and what it includes."""

import posixpath
import re
from collections.abc import Iterator

from hyper2kvm.guest.files import GuestFiles
from hyper2kvm.guest.linux import reading
from hyper2kvm.guest.linux.interface import Interface, is_software, with_prefix

PATH = "/etc/network/interfaces"

_BACK_END = "ifupdown"
_MAX_DEPTH = 8
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]+")
_MEMBERS = frozenset(
    {"bond-slaves", "bond_slaves", "slaves", "bridge_ports", "bridge-ports", "vlan-raw-device", "vlan_raw_device"}
)
_NO_MEMBER = frozenset({"none", "regex", "all", "noregex", "noauto"})
_SOFTWARE_KEYS = _MEMBERS | {"vlan-id", "bridge_stp", "bridge-stp", "bond-mode", "bond_mode", "bond-master", "tunnel"}
_MAKES_ITSELF = _SOFTWARE_KEYS - {"bond-master"}


def find(files: GuestFiles) -> Iterator[Interface]:
    """The interfaces of every `iface` stanza, and those that bonds, bridges and VLANs are made from."""
    for path in _included(files, PATH, 0, []):
        text = reading.text(files, path)
        for name, stanza in _stanzas(text):
            yield _interface(path, name, stanza)
            yield from (Interface(_BACK_END, path, member) for member in _members(name, stanza))


def _included(files: GuestFiles, path: str, depth: int, seen: list[str]) -> list[str]:
    if path in seen or depth > _MAX_DEPTH or len(seen) >= reading.MAX_FILES or not reading.is_file(files, path):
        return seen
    seen.append(path)
    for words in _lines(reading.text(files, path)):
        for other in _sources(files, posixpath.dirname(path), words):
            _included(files, other, depth + 1, seen)
    return seen


def _sources(files: GuestFiles, folder: str, words: list[str]) -> Iterator[str]:
    if len(words) < 2 or words[0] not in {"source", "source-directory"}:
        return
    target = posixpath.join(folder, words[1])
    if words[0] == "source":
        yield from files.glob(target)
        return
    for directory in files.glob(target):
        yield from (posixpath.join(directory, name) for name in files.list(directory) if _PLAIN_NAME.fullmatch(name))


def _lines(text: str) -> Iterator[list[str]]:
    for line in text.replace("\\\n", " ").split("\n"):
        words = line.split()
        if words and not words[0].startswith("#"):
            yield words


def _stanzas(text: str) -> Iterator[tuple[str, list[list[str]]]]:
    """The stanzas by interface name; the first of each one's lines is the `iface` line."""
    name, stanza = "", list[list[str]]()
    for words in _lines(text):
        if not _begins(words):
            stanza.append(words)
            continue
        if name:
            yield name, stanza
        name, stanza = (words[1], [words]) if words[0] == "iface" and len(words) > 1 else ("", [])
    if name:
        yield name, stanza


def _begins(words: list[str]) -> bool:
    return words[0] in {"iface", "auto", "mapping", "source", "source-directory"} or words[0].startswith("allow-")


def _interface(path: str, name: str, stanza: list[list[str]]) -> Interface:
    options = {words[0]: words[1:] for words in stanza[1:] if words[1:]}
    method = stanza[0][3] if len(stanza[0]) > 3 else ""
    netmask = options.get("netmask", [None])[0]
    address = with_prefix(options["address"][0], netmask) if "address" in options else None
    bare = name.partition(":")[0]
    return Interface(
        _BACK_END,
        path,
        bare,
        addresses=(address,) if address else (),
        dhcp=method == "dhcp",
        virtual=is_software(bare) or bool(_MAKES_ITSELF & options.keys()),
    )


def _members(name: str, stanza: list[list[str]]) -> Iterator[str]:
    parent, dot, _ = name.partition(":")[0].partition(".")
    if dot:
        yield parent
    for words in stanza[1:]:
        if words[0] in _MEMBERS:
            yield from (word for word in words[1:] if word not in _NO_MEMBER and not is_software(word))
