"""modules.dep, modules.alias and their binary forms for a chosen set of modules: what modprobe looks into.

An initramfs may hold modules unpacked that the root file system holds as .ko.xz or .ko.zst, and holds few of them: no
index of the root file system fits. These are made for exactly the files that will be there.

Source of the binary form: kmod, libkmod/libkmod-index.h (version 2.1): a trie whose numbers are big-endian.
"""

import itertools
import re
import struct
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from hyper2kvm.guest.linux.modules import ModuleTree

_MAGIC = 0xB007F457
_VERSION = 0x0002_0001
_OUTSIDE_BRACKETS = re.compile(r"\[[^\]]*\]|-")
_MAX_KEY = 256
_PREFIX, _VALUES, _CHILDREN = 0x8000_0000, 0x4000_0000, 0x2000_0000


def dependencies(present: Mapping[str, str], tree: ModuleTree) -> dict[str, str]:
    """modules.dep's lines by module name.

    Args:
        present: path below the modules' folder of every module that will be there, by name.
        tree: the root file system's modules, which tell what depends on what.
    """
    lines = {}
    for name, path in present.items():
        needed = (present[other] for other in tree.depends.get(name, ()) if other in present)
        lines[name] = " ".join([f"{path}:", *needed])
    return lines


def text(lines: Mapping[str, str]) -> bytes:
    """modules.dep."""
    return "".join(f"{line}\n" for line in lines.values()).encode("utf-8", "surrogateescape")


def aliases(text_: str, present: Collection[str]) -> list[tuple[str, str]]:
    """The aliases of a modules.alias that lead to modules that will be there, as pattern and module name."""
    rows = (line.split() for line in text_.split("\n") if line.startswith("alias "))
    return [(row[1], row[2]) for row in rows if len(row) == 3 and row[2] in present]


def alias_text(rows: Iterable[tuple[str, str]]) -> bytes:
    """modules.alias."""
    return "".join(f"alias {pattern} {name}\n" for pattern, name in rows).encode("utf-8", "surrogateescape")


def normalised(pattern: str) -> str:
    """An alias as the binary index holds it: hyphens are underscores, but not between brackets (kmod's alias_normalize)."""
    return _OUTSIDE_BRACKETS.sub(lambda match: match[0] if match[0].startswith("[") else "_", pattern)


def binary(rows: Iterable[tuple[str, str]]) -> bytes:
    """modules.dep.bin or modules.alias.bin: values by key. The kernel's keys are short and ASCII; others are left out."""
    root = _Node()
    for key, value in rows:
        if key.isascii() and len(key) <= _MAX_KEY:
            root.insert(key, value.encode("utf-8", "surrogateescape"))
    body = bytearray(struct.pack(">III", _MAGIC, _VERSION, 0))
    struct.pack_into(">I", body, 8, root.write(body))
    return bytes(body)


@dataclass
class _Node:
    prefix: str = ""
    values: list[bytes] = field(default_factory=list)
    children: "dict[str, _Node]" = field(default_factory=dict)

    def insert(self, key: str, value: bytes) -> None:
        """Put a value under a key that begins behind this node's first character."""
        pairs = zip(self.prefix, key, strict=False)
        shared = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        if shared < len(self.prefix):
            rest = _Node(self.prefix[shared + 1 :], self.values, self.children)
            self.children = {self.prefix[shared]: rest}
            self.prefix, self.values = self.prefix[:shared], []
        if shared == len(key):
            self.values.append(value)
            return
        first = key[shared]
        if first in self.children:
            self.children[first].insert(key[shared + 1 :], value)
        else:
            self.children[first] = _Node(key[shared + 1 :], [value])

    def write(self, body: bytearray) -> int:
        """Append this node behind its children; returns its offset with the flags of its parts."""
        offsets = {first: child.write(body) for first, child in self.children.items()}
        offset = len(body)
        if self.prefix:
            offset |= _PREFIX
            body += self.prefix.encode() + b"\0"
        if offsets:
            offset |= _CHILDREN
            low, high = ord(min(offsets)), ord(max(offsets))
            body += bytes((low, high))
            body += b"".join(struct.pack(">I", offsets.get(chr(code), 0)) for code in range(low, high + 1))
        if self.values:
            offset |= _VALUES
            body += struct.pack(">I", len(self.values))
            body += b"".join(struct.pack(">I", 0) + value + b"\0" for value in self.values)
        return offset
