"""VHDX as a source. Format: Microsoft, [MS-VHDX]: Virtual Hard Disk v2 File Format."""

import struct
import uuid
from dataclasses import dataclass

from hyper2kvm.disk.formats.region import ImageFacts, RegionReader

_SIGNATURE = b"vhdxfile"
_HEADERS = (64 * 1024, 128 * 1024)
_HEADER = struct.Struct("<4sIQ16s16s16sHHIQ")
_REGIONS = (192 * 1024, 256 * 1024)
_REGION_HEADER = struct.Struct("<4sIII")
_REGION = struct.Struct("<16sQII")
_METADATA_HEADER = struct.Struct("<8sHH20s")
_ITEM = struct.Struct("<16sIIII")
_MAX_ENTRIES = 2047

_METADATA_REGION = uuid.UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E").bytes_le
_TABLE_REGION = uuid.UUID("2DC27766-F623-4200-9D64-115E9BFD4A08").bytes_le
_FILE_PARAMETERS = uuid.UUID("CAA16737-FA36-4D43-B3B6-33F0AA44E76B").bytes_le
_DISK_SIZE = uuid.UUID("2FA54224-CD1B-4876-B211-5DBED83BF4B8").bytes_le
_NO_LOG = bytes(16)
_HAS_PARENT = 1 << 1
_PRESENT = {6, 7}
_MIB = 1024 * 1024
_SECTORS_OF_A_BITMAP = 1 << 23
_MAX_TABLE = 64 * _MIB


@dataclass(frozen=True)
class _Area:
    offset: int
    length: int


def examine(reader: RegionReader) -> ImageFacts:
    """Check a fixed or dynamic VHDX whose log is empty.

    Raises:
        ImageError: ImageFormatMismatch, ImageTruncated, ImageCorrupt or ImageUnsupported.
        SourceError: SourceUnreadable.
    """
    if reader.length < len(_SIGNATURE) or reader.read(0, 8, "signature") != _SIGNATURE:
        raise reader.mismatch("VHDX")
    _check_log(reader)
    regions = _regions(reader)
    if _METADATA_REGION not in regions or _TABLE_REGION not in regions:
        raise reader.corrupt("the region table lacks the metadata or the block table")
    items = _metadata(reader, regions[_METADATA_REGION])
    if _FILE_PARAMETERS not in items or _DISK_SIZE not in items:
        raise reader.corrupt("the metadata lack the disk's size")
    block, flags = struct.unpack("<II", reader.read(items[_FILE_PARAMETERS].offset, 8, "file parameters"))
    if flags & _HAS_PARENT:
        raise reader.unsupported(
            "a differencing VHDX needs its parent", "Merge it into its parent where it comes from."
        )
    (size,) = struct.unpack("<Q", reader.read(items[_DISK_SIZE].offset, 8, "disk size"))
    if size == 0 or size % 512:
        raise reader.corrupt(f"impossible disk size {size}")
    if block < _MIB or block & (block - 1):
        raise reader.corrupt(f"impossible block size {block}")
    _check_blocks(reader, regions[_TABLE_REGION], block)
    return ImageFacts(size)


def _check_log(reader: RegionReader) -> None:
    """The current header is the valid one with the higher sequence number; its log must be empty."""
    headers = [_HEADER.unpack(reader.read(offset, _HEADER.size, "header")) for offset in _HEADERS]
    valid = [header for header in headers if header[0] == b"head"]
    if not valid:
        raise reader.corrupt("neither header is valid")
    current = max(valid, key=lambda header: header[2])
    if current[5] != _NO_LOG:
        raise reader.unsupported(
            "the log has entries that are not yet in the disk (it was not closed cleanly)",
            "Attach the disk once where it comes from (Mount-VHD, then Dismount-VHD), and copy it again.",
        )


def _regions(reader: RegionReader) -> dict[bytes, _Area]:
    for table in _REGIONS:
        signature, _, count, _ = _REGION_HEADER.unpack(reader.read(table, _REGION_HEADER.size, "region table"))
        if signature == b"regi" and count <= _MAX_ENTRIES:
            entries = reader.read(table + _REGION_HEADER.size, count * _REGION.size, "region table")
            return {guid: _Area(offset, length) for guid, offset, length, _ in _REGION.iter_unpack(entries)}
    raise reader.corrupt("neither region table is valid")


def _metadata(reader: RegionReader, area: _Area) -> dict[bytes, _Area]:
    signature, _, count, _ = _METADATA_HEADER.unpack(reader.read(area.offset, _METADATA_HEADER.size, "metadata"))
    if signature != b"metadata" or count > _MAX_ENTRIES:
        raise reader.corrupt("the metadata table is damaged")
    entries = reader.read(area.offset + _METADATA_HEADER.size, count * _ITEM.size, "metadata")
    return {guid: _Area(area.offset + offset, length) for guid, offset, length, _, _ in _ITEM.iter_unpack(entries)}


def _check_blocks(reader: RegionReader, area: _Area, block: int) -> None:
    """The table has an entry for a bitmap after those of each chunk's blocks; only differencing disks use bitmaps."""
    if area.length > _MAX_TABLE:
        raise reader.corrupt(f"a block table of {area.length} bytes")
    pieces = reader.numbers(area.offset, area.length // 8, "the block table", size=8)
    chunk = _SECTORS_OF_A_BITMAP * 512 // block
    entries = enumerate((entry for piece in pieces for entry in piece), 1)
    blocks = (entry for number, entry in entries if number % (chunk + 1))
    farthest = max((entry >> 20 for entry in blocks if entry & 7 in _PRESENT), default=None)
    if farthest is not None and farthest * _MIB + block > reader.length:
        raise reader.truncated(f"a block of {block} bytes stands at byte {farthest * _MIB}")
