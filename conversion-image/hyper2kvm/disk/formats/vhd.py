"""VHD as a source. Format: Microsoft, Virtual Hard Disk Image Format Specification 1.0."""

import struct

from hyper2kvm.disk.formats.region import ImageFacts, RegionReader

_FOOTER_SIZE = 512
_COOKIE = b"conectix"
_FOOTER = struct.Struct(">8sIIQIIIIQQIII")
_DYNAMIC = struct.Struct(">8sQQIIII")
_DYNAMIC_COOKIE = b"cxsparse"
_FIXED, _EXPANDING, _DIFFERENCING = 2, 3, 4
_UNUSED = 0xFFFF_FFFF
_SECTOR = 512
_MAX_BLOCKS = 4 * 1024 * 1024


def examine(reader: RegionReader) -> ImageFacts:
    """Check a fixed or dynamic VHD.

    Raises:
        ImageError: ImageFormatMismatch, ImageTruncated, ImageCorrupt or ImageUnsupported.
        SourceError: SourceUnreadable.
    """
    if reader.length < _FOOTER_SIZE:
        raise reader.mismatch("VHD")
    footer = reader.read(reader.length - _FOOTER_SIZE, _FOOTER_SIZE, "footer")
    if not footer.startswith(_COOKIE):
        if reader.read(0, 8, "header") == _COOKIE:
            raise reader.truncated("its footer is missing")
        raise reader.mismatch("VHD", "it does not end with a footer, which a copy that was cut does not either")
    fields = _FOOTER.unpack(footer[: _FOOTER.size])
    data_offset, size, kind, checksum = fields[3], fields[9], fields[11], fields[12]
    if _checksum(footer, 64) != checksum:
        raise reader.corrupt("the footer's checksum is wrong")
    if kind == _DIFFERENCING:
        raise reader.unsupported("a differencing VHD needs its parent", "Merge it into its parent where it comes from.")
    if kind not in {_FIXED, _EXPANDING} or size == 0 or size % _SECTOR:
        raise reader.corrupt(f"impossible footer (type {kind}, size {size})")
    if kind == _FIXED:
        if reader.length - _FOOTER_SIZE < size:
            raise reader.truncated(f"its disk has {size}")
    else:
        _check_blocks(reader, data_offset, size)
    return ImageFacts(size)


def _check_blocks(reader: RegionReader, offset: int, size: int) -> None:
    header = reader.read(offset, 1024, "dynamic header")
    cookie, _, table_offset, _, entries, block, checksum = _DYNAMIC.unpack(header[: _DYNAMIC.size])
    if cookie != _DYNAMIC_COOKIE or _checksum(header, 36) != checksum:
        raise reader.corrupt("the dynamic header is damaged")
    if entries > _MAX_BLOCKS or block == 0 or block % _SECTOR or entries * block < size:
        raise reader.corrupt(f"impossible dynamic header ({entries} blocks of {block} bytes for {size})")
    pieces = reader.numbers(table_offset, entries, "the block allocation table", big=True)
    farthest = max((sector for piece in pieces for sector in piece if sector != _UNUSED), default=0)
    # A bitmap of the block's sectors stands before its data, in whole sectors.
    bitmap = -(-block // _SECTOR // 8 // _SECTOR) * _SECTOR
    if farthest and farthest * _SECTOR + bitmap + block > reader.length - _FOOTER_SIZE:
        raise reader.truncated(f"a block stands at byte {farthest * _SECTOR}")


def _checksum(data: bytes, field: int) -> int:
    """The ones' complement of the sum of all bytes but the checksum's own four."""
    return ~(sum(data) - sum(data[field : field + 4])) & 0xFFFF_FFFF
