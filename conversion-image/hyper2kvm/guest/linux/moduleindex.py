"""modules.dep and modules.dep.bin for a chosen set of modules: what modprobe looks into to load them.

An initramfs may hold modules unpacked that the root file system holds as .ko.xz or .ko.zst, so neither side's own
index fits both: this one is made for exactly the files that will be there.

Source of the binary form: kmod, libkmod/libkmod-index.h (version 2.1): a trie whose numbers are big-endian.
"""

import itertools
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from hyper2kvm.guest.linux.modules import ModuleTree

_MAGIC = 0xB007F457
_VERSION = 0x0002_0001
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


def binary(lines: Mapping[str, str]) -> bytes:
    """modules.dep.bin: the lines, found by module name. Names are ASCII, as the kernel's are; others are left out."""
    root = _Node()
    for name, line in lines.items():
        if name.isascii():
            root.insert(name, line.encode("utf-8", "surrogateescape"))
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
