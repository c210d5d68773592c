"""VDI as a source. Format: VirtualBox, src/VBox/Storage/VDICore.h; QEMU, block/vdi.c."""

import struct

from hyper2kvm.disk.formats.region import ImageFacts, RegionReader

_SIGNATURE = 0xBEDA107F
_VERSION = 0x0001_0001
_HEADER = struct.Struct("<64sIIIII256sIIIIIIIQIIII")
_DYNAMIC, _STATIC = 1, 2
_FREE = 0xFFFF_FFFE
"""This block number and the one above it mean that there is no block."""

_MAX_BLOCKS = 0x2000_0000 // 4
_MIB = 1024 * 1024


def examine(reader: RegionReader) -> ImageFacts:
    """Check a dynamic or static VDI.

    Raises:
        ImageError: ImageFormatMismatch, ImageTruncated, ImageCorrupt or ImageUnsupported.
        SourceError: SourceUnreadable.
    """
    if reader.length < 68 or reader.read(64, 4, "signature") != struct.pack("<I", _SIGNATURE):
        raise reader.mismatch("VDI")
    fields = _HEADER.unpack(reader.read(0, _HEADER.size, "header"))
    version, kind, map_offset, data_offset = fields[2], fields[4], fields[7], fields[8]
    size, block, blocks, allocated = fields[14], fields[15], fields[17], fields[18]
    if version != _VERSION:
        raise reader.unsupported(f"VDI version {version >> 16}.{version & 0xFFFF}")
    if kind not in {_DYNAMIC, _STATIC}:
        raise reader.unsupported(
            "a differencing VDI needs its parent", "Clone the disk where it comes from: VBoxManage clonemedium."
        )
    if block != _MIB or size == 0 or blocks > _MAX_BLOCKS or blocks * block < size or allocated > blocks:
        raise reader.corrupt(f"impossible header ({blocks} blocks of {block} bytes, {allocated} in use, for {size})")
    pieces = reader.numbers(map_offset, blocks, "the block map")
    farthest = max((number for piece in pieces for number in piece if number < _FREE), default=-1)
    end = data_offset + (farthest + 1) * block
    if end > reader.length:
        raise reader.truncated(f"its blocks end at byte {end}")
    return ImageFacts(size)
