"""The headers of EFI programs (Microsoft, PE Format)."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from hyper2kvm.guest.linux.bytesource import ByteSource

_FILE_HEADER = 24
"""Bytes of the signature and the COFF file header."""

_DIRECTORIES: Mapping[int, int] = {0x10B: 96, 0x20B: 112}
"""Where the optional header's data directories begin, by its magic: PE32 and PE32+. Their number stands before them."""

_DIRECTORY = 8
_CERTIFICATES = 4


@dataclass(frozen=True)
class Header:
    """What a program's file header says.

    Attributes:
        optional: first byte of the optional header.
        sections: first byte of the table of sections.
        count: sections in it.
    """

    optional: int
    sections: int
    count: int


def read(program: ByteSource) -> Header | None:
    """The file header of an EFI program; None when it is none or is damaged."""
    start = program.read(0, 0x40)
    if not start.startswith(b"MZ") or len(start) < 0x40:
        return None
    (at,) = struct.unpack_from("<I", start, 0x3C)
    head = program.read(at, _FILE_HEADER)
    if not head.startswith(b"PE\0\0") or len(head) < _FILE_HEADER:
        return None
    count, optional = struct.unpack_from("<H12xH", head, 6)
    return Header(at + _FILE_HEADER, at + _FILE_HEADER + optional, count)


def is_signed(program: ByteSource) -> bool:
    """Whether an EFI program has a certificate, whosoever it is: firmware that enforces Secure Boot asks for one."""
    header = read(program)
    if header is None:
        return False
    fields = program.read(header.optional, header.sections - header.optional)
    first = _DIRECTORIES.get(_number(fields, 0, 2))
    if first is None or _number(fields, first - 4) <= _CERTIFICATES:
        return False
    return _number(fields, first + _CERTIFICATES * _DIRECTORY + 4) > 0


def _number(fields: bytes, at: int, size: int = 4) -> int:
    """A number of so many bytes; 0 behind the end."""
    return int.from_bytes(fields[at : at + size], "little")
