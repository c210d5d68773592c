"""Unified kernel images: an EFI program that holds kernel, initramfs and command line as sections.

Source of the formats: Microsoft, PE Format; uapi-group.org, Unified Kernel Image.
"""

import struct

_MAX_SECTIONS = 96
_SECTION = 40


def sections(program: bytes) -> dict[str, bytes]:
    """The sections of an EFI program by name, such as `.initrd`; empty when it is none or is damaged."""
    if not program.startswith(b"MZ") or len(program) < 0x40:
        return {}
    (header,) = struct.unpack_from("<I", program, 0x3C)
    if program[header : header + 4] != b"PE\0\0" or header + 24 > len(program):
        return {}
    count, optional = struct.unpack_from("<H12xH", program, header + 6)
    table = header + 24 + optional
    found = {}
    for number in range(min(count, _MAX_SECTIONS)):
        entry = program[table + number * _SECTION : table + (number + 1) * _SECTION]
        if len(entry) < _SECTION:
            return {}
        size, _, stored, at = struct.unpack_from("<IIII", entry, 8)
        name = entry[:8].rstrip(b"\0").decode("ascii", "replace")
        found[name] = program[at : at + min(size, stored)]
    return found
