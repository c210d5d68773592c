"""qcow2 as a source. Format: QEMU, docs/interop/qcow2.txt (versions 2 and 3)."""

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from hyper2kvm.disk.formats.region import ImageFacts, RegionReader

_MAGIC = b"QFI\xfb"
_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_FEATURES = struct.Struct(">QQQII")
_OLD_LENGTH = 72
_MAX_L1 = 4 * 1024 * 1024
"""Entries of the active L1 table: QEMU's own bound is 32 MiB of them."""

_CORRUPT, _DATA_FILE, _COMPRESSION, _EXTENDED_L2 = 1 << 1, 1 << 2, 1 << 3, 1 << 4
_KNOWN = 1 << 0 | _CORRUPT | _DATA_FILE | _COMPRESSION | _EXTENDED_L2
_OFFSET_MASK = 0x00FF_FFFF_FFFF_FE00
_COMPRESSED = 1 << 62


@dataclass(frozen=True)
class _Header:
    cluster_bits: int
    size: int
    l1_size: int
    l1_offset: int
    extended: bool

    @property
    def cluster(self) -> int:
        return 1 << self.cluster_bits

    @property
    def entry(self) -> int:
        """Bytes of an L2 entry."""
        return 16 if self.extended else 8


def examine(reader: RegionReader) -> ImageFacts:
    """Check a qcow2 image: it stands alone, and every cluster that it names is there.

    Raises:
        ImageError: ImageFormatMismatch, ImageTruncated, ImageCorrupt, ImageUnsupported or ImageReferenceUnsafe.
    """
    header = _header(reader)
    for offset in _l2_tables(reader, header):
        _check_table(reader, header, offset)
    return ImageFacts(header.size)


def _header(reader: RegionReader) -> _Header:
    if reader.length < len(_MAGIC) or reader.read(0, 4, "magic") != _MAGIC:
        raise reader.mismatch("qcow2")
    fields = _HEADER.unpack(reader.read(0, _HEADER.size, "header"))
    _, version, backing, _, bits, size, crypt, l1_size, l1_offset, *_ = fields
    if version not in {2, 3}:
        raise reader.unsupported(f"qcow2 version {version}")
    if backing:
        raise reader.unsafe("the image names a backing file")
    if crypt:
        raise reader.unsupported("the image is encrypted", "Decrypt it where it comes from: qemu-img convert.")
    if not 9 <= bits <= 21 or size == 0 or l1_size > _MAX_L1:
        raise reader.corrupt(f"impossible header (cluster bits {bits}, size {size}, L1 entries {l1_size})")
    extended = version == 3 and _features(reader)
    header = _Header(bits, size, l1_size, l1_offset, extended)
    covered = l1_size * (header.cluster // header.entry) * header.cluster
    if covered < size:
        raise reader.corrupt(f"the L1 table covers {covered} of {size} bytes")
    return header


def _features(reader: RegionReader) -> bool:
    """Check version 3's incompatible features; whether L2 entries are extended."""
    incompatible, *_ = _FEATURES.unpack(reader.read(_OLD_LENGTH, _FEATURES.size, "header"))
    if incompatible & _DATA_FILE:
        raise reader.unsafe("the image keeps its data in a file of its own, which it names")
    if incompatible & _CORRUPT:
        raise reader.corrupt("QEMU has marked the image as corrupt")
    if incompatible & ~_KNOWN:
        raise reader.unsupported(f"unknown features {incompatible:#x}")
    return bool(incompatible & _EXTENDED_L2)


def _l2_tables(reader: RegionReader, header: _Header) -> Iterator[int]:
    for entry in _words(reader.read(header.l1_offset, header.l1_size * 8, "L1 table")):
        offset = entry & _OFFSET_MASK
        if offset:
            yield offset


def _check_table(reader: RegionReader, header: _Header, offset: int) -> None:
    """Every cluster of a table must begin inside of the file; the last one need not be padded to its end."""
    words = _words(reader.read(offset, header.cluster, "L2 table"))
    step = header.entry // 8
    shift = 62 - (header.cluster_bits - 8)
    farthest = 0
    for entry in words[::step]:
        if entry & _COMPRESSED:
            farthest = max(farthest, entry & ((1 << shift) - 1))
        else:
            farthest = max(farthest, entry & _OFFSET_MASK)
    if farthest >= reader.length:
        raise reader.truncated(f"a cluster stands at byte {farthest}")


def _words(data: bytes) -> "array[int]":
    words = array("Q", data)
    words.byteswap()
    return words
