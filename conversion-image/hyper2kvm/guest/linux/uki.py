"""Unified kernel images: an EFI program that holds kernel, initramfs and command line as sections.

Source of the formats: Microsoft, PE Format; uapi-group.org, Unified Kernel Image.
"""

import struct

from hyper2kvm.guest.linux.bytesource import ByteSource, Section

_MAX_SECTIONS = 96
_SECTION = 40


def sections(program: ByteSource) -> dict[str, ByteSource]:
    """The sections of an EFI program by name, such as `.initrd`; empty when it is none or is damaged."""
    start = program.read(0, 0x40)
    if not start.startswith(b"MZ") or len(start) < 0x40:
        return {}
    (header,) = struct.unpack_from("<I", start, 0x3C)
    head = program.read(header, 24)
    if not head.startswith(b"PE\0\0") or len(head) < 24:
        return {}
    count, optional = struct.unpack_from("<H12xH", head, 6)
    table = header + 24 + optional
    found: dict[str, ByteSource] = {}
    for number in range(min(count, _MAX_SECTIONS)):
        entry = program.read(table + number * _SECTION, _SECTION)
        if len(entry) < _SECTION:
            return {}
        size, _, stored, at = struct.unpack_from("<IIII", entry, 8)
        name = entry[:8].rstrip(b"\0").decode("ascii", "replace")
        found[name] = Section(program, at, min(size, stored))
    return found
