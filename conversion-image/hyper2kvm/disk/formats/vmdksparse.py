"""Sparse VMDK extents: hosted ones (KDMV), with streamOptimized among them, and the snapshots of older ESXi (COWD).

Format: VMware, Virtual Disk Format 5.0, sections "Hosted Sparse Extents", "ESX Server Sparse Extents" and
"Stream-Optimized Compressed Sparse Extents".
"""

import struct
from array import array
from dataclasses import dataclass

from hyper2kvm.disk.formats.encoding import decoded
from hyper2kvm.disk.formats.region import RegionReader
from hyper2kvm.disk.formats.vmdk import SECTOR

HOSTED_MAGIC = b"KDMV"
ESX_MAGIC = b"COWD"

_HEADER = struct.Struct("<4sIIQQQQIQQQB4sH")
_ESX_HEADER = struct.Struct("<4sIIIIIII")
_GRAIN = struct.Struct("<QI")
_HOSTED_ENTRIES = 512
"""Entries of a grain table, at most: QEMU's bound, and what every writer uses."""
_ESX_ENTRIES = 4096
_COMPRESSED = 1 << 16
_DEFLATE = 1
_AT_END = 0xFFFF_FFFF_FFFF_FFFF
_FOOTER_FROM_END = 1024
_MAX_GRAIN = 2048
_MAX_TABLES = 1024 * 1024
_MAX_DESCRIPTOR_SECTORS = 2048
_ZERO_GRAIN = 1


@dataclass(frozen=True)
class SparseExtent:
    """A sparse extent's header.

    Attributes:
        sectors: its length in sectors.
        descriptor: the embedded descriptor; empty when there is none.
        footer: whether its grain directory is found from the file's end.
    """

    sectors: int
    descriptor: str = ""
    footer: bool = False


@dataclass(frozen=True)
class _Header:
    flags: int
    capacity: int
    grain: int
    descriptor_offset: int
    descriptor_size: int
    entries: int
    directory: int
    compression: int

    @property
    def compressed(self) -> bool:
        return bool(self.flags & _COMPRESSED)

    @property
    def tables(self) -> int:
        return -(-self.capacity // (self.grain * self.entries))


def examine(reader: RegionReader) -> SparseExtent:
    """Check a sparse extent: its header is possible, and every grain that it names is there.

    Raises:
        ImageError: ImageFormatMismatch, ImageTruncated, ImageCorrupt or ImageUnsupported.
        SourceError: SourceUnreadable.
    """
    magic = reader.read(0, 4, "magic") if reader.length >= 4 else b""
    if magic == ESX_MAGIC:
        return _examine_esx(reader)
    if magic != HOSTED_MAGIC:
        raise reader.mismatch("VMDK")
    header = _header(reader, 0)
    footer = header.directory == _AT_END
    if footer:
        header = _header(reader, reader.length - _FOOTER_FROM_END)
    if header.directory == _AT_END:
        raise reader.truncated("the footer with the grain directory is missing")
    if header.tables > _MAX_TABLES:
        raise reader.corrupt(f"{header.tables} grain tables")
    _check_grains(reader, header)
    return SparseExtent(header.capacity, _descriptor(reader, header), footer)


def _header(reader: RegionReader, offset: int) -> _Header:
    fields = _HEADER.unpack(reader.read(offset, _HEADER.size, "header"))
    magic, version, flags, capacity, grain, descriptor, size, entries, _, directory, _, _, ends, compression = fields
    if magic != HOSTED_MAGIC:
        raise reader.truncated("the footer is missing")
    if version not in {1, 2, 3} or ends != b"\n \r\n":
        raise reader.corrupt("the header is damaged (perhaps by a transfer as text)")
    # QEMU follows the embedded descriptor to other files when the capacity is 0.
    if capacity == 0 or not 0 < entries <= _HOSTED_ENTRIES or not 8 <= grain <= _MAX_GRAIN or grain & (grain - 1):
        raise reader.corrupt(f"impossible header (capacity {capacity}, grain {grain}, {entries} entries a table)")
    if flags & _COMPRESSED and compression != _DEFLATE:
        raise reader.unsupported(f"compression {compression}")
    return _Header(flags, capacity, grain, descriptor, size, entries, directory, compression)


def _check_grains(reader: RegionReader, header: _Header) -> None:
    """The grain that lies farthest in the file must be whole; the disk's last one, as far as the disk goes."""
    pieces = reader.numbers(header.directory * SECTOR, header.tables, "the grain directory")
    directory = array("I", (table for piece in pieces for table in piece))
    grains = -(-header.capacity // header.grain)
    farthest = final = 0
    for table in reader.disjoint((each for each in directory if each), header.entries * 4 // SECTOR, "grain table"):
        for entries in reader.numbers(table * SECTOR, header.entries, "a grain table"):
            farthest = max(farthest, *entries)
            if table == directory[-1]:
                final = entries[(grains - 1) % header.entries]
    if farthest <= _ZERO_GRAIN:
        return
    unused = grains * header.grain - header.capacity if farthest == final else 0
    length = (header.grain - unused) * SECTOR
    if header.compressed:
        _, stored = _GRAIN.unpack(reader.read(farthest * SECTOR, _GRAIN.size, "grain"))
        length = _GRAIN.size + stored
    if farthest * SECTOR + length > reader.length:
        raise reader.truncated(f"a grain of {length} bytes stands at byte {farthest * SECTOR}")


def _descriptor(reader: RegionReader, header: _Header) -> str:
    if header.descriptor_offset == 0:
        return ""
    if header.descriptor_size > _MAX_DESCRIPTOR_SECTORS:
        raise reader.corrupt(f"an embedded descriptor of {header.descriptor_size} sectors")
    data = reader.read(header.descriptor_offset * SECTOR, header.descriptor_size * SECTOR, "descriptor")
    return decoded(data)


def _examine_esx(reader: RegionReader) -> SparseExtent:
    fields = _ESX_HEADER.unpack(reader.read(0, _ESX_HEADER.size, "header"))
    _, version, _, capacity, grain, directory, tables, _ = fields
    if version != 1 or capacity == 0 or not 0 < grain <= _MAX_GRAIN:
        raise reader.corrupt(f"impossible header (version {version}, capacity {capacity}, grain {grain})")
    header = _Header(0, capacity, grain, 0, 0, _ESX_ENTRIES, directory, 0)
    if not header.tables <= tables <= _MAX_TABLES:
        raise reader.corrupt(f"{tables} grain tables for {capacity} sectors")
    _check_grains(reader, header)
    return SparseExtent(capacity)
