"""VDI targets, dynamic, with blocks of 1 MiB: header, map of blocks, blocks in the order of the disk.

VirtualBox has no specification of the format; the header's fields are those of VDIHEADER1 in its VDICore.h, which
QEMU's driver (block/vdi.c) reads and writes in the same way. All numbers are little-endian.
"""

import struct
import sys
import uuid
from array import array
from itertools import groupby

from hyper2kvm.disk.chunks import CHUNK, PLAIN, Sizes, chunk_count, content
from hyper2kvm.disk.targets.storage import Storage
from hyper2kvm.disk.targets.target import Claims, Packed

_HEADER = struct.Struct("<64s5I256s7IQ4I16s16s16s16s")
_TEXT = b"<<< QEMU VM Virtual Disk Image >>>\n"
_SIGNATURE = 0xBEDA107F
_VERSION = 0x00010001
_HEADER_SIZE = 0x180
"""Bytes of the header from this field on."""
_DYNAMIC = 1
_SECTOR = 512
_MAP_OFFSET = 512
_ENTRIES = CHUNK // 4
"""Entries of the map that are written at once."""
_ABSENT = 0xFFFFFFFF
"""The map's entry of a block that is not stored and reads as zeros."""
_NO_UUID = bytes(16)


class VdiTarget:
    """A Target: every chunk that is not empty is a block of the image."""

    def __init__(self, storage: Storage, capacity: int) -> None:
        """Blocks start at a multiple of their size, behind the map."""
        self.storage = storage
        self._capacity = capacity
        self._count = chunk_count(capacity)
        self._data = -(-(_MAP_OFFSET + 4 * self._count) // CHUNK) * CHUNK
        self._stored = 0

    def pack(self, data: bytes) -> Packed:
        """The chunk as it is."""
        return Packed(content(data), data)

    def place(self, index: int, sizes: Sizes) -> int:  # noqa: ARG002 -- Target's signature
        """The next block, unless the chunk is empty."""
        position = self._data + self._stored * CHUNK
        self._stored += any(sizes)
        return position

    def write(self, position: int, packed: Packed, *, whole: bool) -> None:
        """Write the block, without its empty pieces where those are holes anyway."""
        sizes = (PLAIN,) * len(packed.sizes) if whole else packed.sizes
        self.storage.write_stored(position, packed.payload, sizes)

    def seal(self, claims: Claims, identity: bytes) -> None:
        """Write the map, then the header."""
        self.storage.resize(self._data + self._stored * CHUNK)
        self._write_map(claims)
        self.storage.sync()
        self.storage.write(0, self._header(identity))
        self.storage.sync()

    def _write_map(self, claims: Claims) -> None:
        for first in range(0, self._count, _ENTRIES):
            absent = array("I", [_ABSENT]) * min(_ENTRIES, self._count - first)
            self.storage.write(_MAP_OFFSET + 4 * first, absent.tobytes())
        blocks = enumerate(claim.index for claim in claims() if any(claim.sizes))
        for number, group in groupby(blocks, key=lambda each: each[1] // _ENTRIES):
            first = number * _ENTRIES
            entries = array("I", [_ABSENT]) * min(_ENTRIES, self._count - first)
            for block, index in group:
                entries[index - first] = block
            if sys.byteorder == "big":
                entries.byteswap()
            self.storage.write(_MAP_OFFSET + 4 * first, entries.tobytes())

    def _header(self, identity: bytes) -> bytes:
        return _HEADER.pack(
            _TEXT,
            _SIGNATURE,
            _VERSION,
            _HEADER_SIZE,
            _DYNAMIC,
            0,  # flags
            b"",  # description
            _MAP_OFFSET,
            self._data,
            0,  # cylinders, heads, sectors: left to the firmware
            0,
            0,
            _SECTOR,
            0,  # unused
            self._capacity,
            CHUNK,
            0,  # bytes beside each block
            self._count,
            self._stored,
            uuid.UUID(bytes=identity[:16], version=4).bytes_le,
            uuid.UUID(bytes=identity[16:32], version=4).bytes_le,
            _NO_UUID,  # of a parent: there is none
            _NO_UUID,
        )
