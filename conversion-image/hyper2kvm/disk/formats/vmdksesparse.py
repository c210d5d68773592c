"""Space-efficient sparse VMDK extents (seSparse): snapshots of ESXi on VMFS 6, and of disks larger than 2 TiB.

VMware has not published the format. What is known of it is QEMU's reading (block/vmdk.c, VMDKSESparseConstHeader), which
is as strict as this: a grain of 4 KiB, tables of 4096 entries, and a journal that was played back.
"""

import struct
from collections.abc import Iterator

from hyper2kvm.disk.formats.region import RegionReader
from hyper2kvm.disk.formats.vmdk import SECTOR
from hyper2kvm.disk.formats.vmdksparse import SparseExtent

_HEADER = struct.Struct("<26Q")
_MAGIC = struct.pack("<Q", 0xCAFE_BABE)
_VERSION = 0x0000_0002_0000_0001
_VOLATILE = struct.Struct("<4Q")
_VOLATILE_MAGIC = 0x0000_0000_CAFE_CAFE
_GRAIN = 8
_TABLE = 64
"""Sectors of a grain, and of a grain table of 8 bytes an entry."""
_ENTRIES = _TABLE * SECTOR // 8
_MAX_TABLES = 4 * 1024 * 1024
"""64 TiB at 16 MiB a table."""

_TABLE_KIND = 0xFFFF_FFFF_0000_0000
_TABLE_ALLOCATED = 0x1000_0000_0000_0000
_KIND_SHIFT = 60
_UNALLOCATED, _UNMAPPED, _ZERO, _ALLOCATED = range(4)


def examine(reader: RegionReader) -> SparseExtent:
    """Check an extent: its header is possible, nothing waits in its journal, and every grain that it names is there.

    Raises:
        ImageError: ImageFormatMismatch, ImageTruncated, ImageCorrupt or ImageUnsupported.
        SourceError: SourceUnreadable.
    """
    if reader.length < len(_MAGIC) or reader.read(0, len(_MAGIC), "magic") != _MAGIC:
        raise reader.mismatch("space-efficient VMDK")
    header = _HEADER.unpack(reader.read(0, _HEADER.size, "header"))
    _, version, capacity, grain, table = header[:5]
    volatile, directory, directory_size, tables, grains = (header[at] for at in (10, 16, 17, 18, 24))
    if version != _VERSION or (grain, table) != (_GRAIN, _TABLE):
        raise reader.unsupported(f"seSparse version {version:#x}, grains of {grain} sectors, tables of {table}")
    count = -(-capacity // (_GRAIN * _ENTRIES))
    if capacity == 0 or count > _MAX_TABLES or directory_size * SECTOR // 8 < count:
        raise reader.corrupt(f"impossible header ({capacity} sectors, a grain directory of {directory_size})")
    _check_journal(reader, volatile)
    _check_grains(reader, (tables + number * _TABLE for number in _tables(reader, directory, count)), grains)
    return SparseExtent(capacity)


def _check_journal(reader: RegionReader, offset: int) -> None:
    magic, _, _, replay = _VOLATILE.unpack(reader.read(offset * SECTOR, _VOLATILE.size, "volatile header"))
    if magic != _VOLATILE_MAGIC:
        raise reader.corrupt("the volatile header is damaged")
    if replay:
        raise reader.unsupported(
            "its journal has entries that are not yet in the disk (the machine or its host was not shut down cleanly)",
            "Start and shut down the machine once at the source, or consolidate its snapshots, and copy it again.",
        )


def _tables(reader: RegionReader, directory: int, count: int) -> Iterator[int]:
    """The numbers of the grain tables that the directory names, each once: there are no more than the disk needs."""
    named = bytearray(count)
    for piece in reader.numbers(directory * SECTOR, count, "the grain directory", size=8):
        for entry in piece:
            number = entry & ~_TABLE_KIND
            if not entry:
                continue
            if entry & _TABLE_KIND != _TABLE_ALLOCATED or number >= count or named[number]:
                raise reader.corrupt(f"an impossible entry in the grain directory: {entry:#x}")
            named[number] = 1
            yield number


def _check_grains(reader: RegionReader, tables: Iterator[int], grains: int) -> None:
    farthest = -1
    for table in tables:
        for entries in reader.numbers(table * SECTOR, _ENTRIES, "a grain table", size=8):
            farthest = max(farthest, *(_grain(reader, entry) for entry in entries))
    end = (grains + (farthest + 1) * _GRAIN) * SECTOR
    if farthest >= 0 and end > reader.length:
        raise reader.truncated(f"its last grain ends at byte {end}")


def _grain(reader: RegionReader, entry: int) -> int:
    """The number of the grain that an entry of a table names; -1 when it names none."""
    kind = entry >> _KIND_SHIFT
    if kind == _ALLOCATED:
        return (entry >> 48 & 0xFFF) | (entry & 0xFFFF_FFFF_FFFF) << 12
    if kind not in {_UNALLOCATED, _UNMAPPED, _ZERO} or (kind == _UNALLOCATED and entry):
        raise reader.corrupt(f"an impossible entry in a grain table: {entry:#x}")
    return -1
