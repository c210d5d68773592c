"""Unified kernel images: an EFI program that holds kernel, initramfs and command line as sections.

Source of the formats: Microsoft, PE Format; uapi-group.org, Unified Kernel Image.
"""

import struct

from hyper2kvm.guest.linux import pe
from hyper2kvm.guest.linux.bytesource import ByteSource, Section

_MAX_SECTIONS = 96
_SECTION = 40


def sections(program: ByteSource) -> dict[str, ByteSource]:
    """The sections of an EFI program by name, such as `.initrd`; empty when it is none or is damaged."""
    header = pe.read(program)
    if header is None:
        return {}
    found: dict[str, ByteSource] = {}
    for number in range(min(header.count, _MAX_SECTIONS)):
        entry = program.read(header.sections + number * _SECTION, _SECTION)
        if len(entry) < _SECTION:
            return {}
        size, _, stored, at = struct.unpack_from("<IIII", entry, 8)
        name = entry[:8].rstrip(b"\0").decode("ascii", "replace")
        found[name] = Section(program, at, min(size, stored))
    return found
