"""qcow2 as a source. Format: QEMU, docs/interop/qcow2.txt (versions 2 and 3)."""

import struct
import zlib
from array import array
from dataclasses import dataclass

import zstandard

from hyper2kvm.disk.formats.region import ImageFacts, RegionReader

_MAGIC = b"QFI\xfb"
_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_FEATURES_OFFSET = 72
_FEATURES = struct.Struct(">Q")
_COMPRESSION_OFFSET = 104
_MAX_L1 = 1024 * 1024
"""Entries of the active L1 table that are read: 2 TiB at clusters of 4 KiB, far more at the usual ones."""

_CORRUPT, _DATA_FILE, _COMPRESSION, _EXTENDED_L2 = 1 << 1, 1 << 2, 1 << 3, 1 << 4
_KNOWN = 1 << 0 | _CORRUPT | _DATA_FILE | _COMPRESSION | _EXTENDED_L2
_OFFSET_MASK = 0x00FF_FFFF_FFFF_FE00
_COMPRESSED = 1 << 62
_READS_AS_ZEROS = 1
_SUBCLUSTERS = 32
_ALLOCATED = (1 << _SUBCLUSTERS) - 1
"""Of an extended entry's second word: the subclusters that are in the image."""
_SECTOR = 512
_ZLIB_WINDOW = -12
_MAX_ENDING = 64
"""Compressed clusters that may end in one sector: each has some bytes of its own."""


@dataclass(frozen=True)
class _Header:
    cluster_bits: int
    size: int
    l1_offset: int
    features: int
    zstd: bool

    @property
    def cluster(self) -> int:
        return 1 << self.cluster_bits

    @property
    def extended(self) -> bool:
        return bool(self.features & _EXTENDED_L2)

    @property
    def entries(self) -> int:
        """Entries of an L2 table."""
        return self.cluster // (16 if self.extended else 8)

    @property
    def span(self) -> int:
        """Bytes of the disk that an L2 table describes."""
        return self.entries * self.cluster

    @property
    def tables(self) -> int:
        """L2 tables that the disk needs. The L1 table may be longer: a disk that was made smaller keeps it."""
        return -(-self.size // self.span)


def examine(reader: RegionReader) -> ImageFacts:
    """Check a qcow2 image: it stands alone, and every byte of it that a guest can read is there.

    Raises:
        ImageError: ImageFormatMismatch, ImageTruncated, ImageCorrupt, ImageUnsupported or ImageReferenceUnsafe.
        SourceError: SourceUnreadable.
    """
    header = _header(reader)
    pieces = reader.numbers(header.l1_offset, header.tables, "the L1 table", big=True, size=8)
    offsets = array("Q", (entry & _OFFSET_MASK for piece in pieces for entry in piece))
    last = offsets[-1]
    clusters = _Clusters(reader, header)
    for offset in reader.disjoint((each for each in offsets if each), header.cluster, "L2 table"):
        clusters.check(offset, header.size - (header.tables - 1) * header.span if offset == last else header.span)
    return ImageFacts(header.size)


def names_data_file(start: bytes) -> bool:
    """Whether the first 80 bytes of a qcow2 image say that its data is in another file, which QEMU would open."""
    padded = start.ljust(_FEATURES_OFFSET + _FEATURES.size, b"\0")
    (version,) = struct.unpack_from(">I", padded, 4)
    (features,) = _FEATURES.unpack_from(padded, _FEATURES_OFFSET)
    return bool(version >= 3 and features & _DATA_FILE)


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
    if not 9 <= bits <= 21 or size == 0 or size % _SECTOR:
        raise reader.corrupt(f"impossible header (cluster bits {bits}, size {size})")
    features = _features(reader) if version == 3 else 0
    zstd = bool(features & _COMPRESSION) and reader.read(_COMPRESSION_OFFSET, 1, "header") == b"\1"
    header = _Header(bits, size, l1_offset, features, zstd)
    if header.tables > l1_size:
        raise reader.corrupt(f"the L1 table has {l1_size} of the {header.tables} entries that {size} bytes need")
    if header.tables > _MAX_L1:
        raise reader.unsupported(
            f"clusters of {header.cluster} bytes for a disk of {size}",
            "Convert it where it comes from, with larger clusters: qemu-img convert -O qcow2.",
        )
    return header


def _features(reader: RegionReader) -> int:
    """Version 3's incompatible features, of which all that are left are understood."""
    if names_data_file(reader.read(0, _FEATURES_OFFSET + _FEATURES.size, "header")):
        raise reader.unsafe("the image keeps its data in a file of its own, which it names")
    (features,) = _FEATURES.unpack(reader.read(_FEATURES_OFFSET, _FEATURES.size, "header"))
    if features & _CORRUPT:
        raise reader.corrupt("QEMU has marked the image as corrupt")
    if features & ~_KNOWN:
        raise reader.unsupported(f"unknown features {features:#x}")
    return int(features)


class _Clusters:
    """Looks whether every cluster is in the file, as far as the guest can read it."""

    def __init__(self, reader: RegionReader, header: _Header) -> None:
        self._reader = reader
        self._header = header
        self._unpacked: set[int] = set()

    def check(self, table: int, left: int) -> None:
        """Check the clusters of the L2 table at an offset, of which `left` bytes are in the disk."""
        header = self._header
        step = 2 if header.extended else 1
        for piece in self._reader.numbers(table, header.cluster // 8, "an L2 table", big=True, size=8):
            for number in range(0, len(piece), step):
                if left <= 0:
                    return
                entry = piece[number]
                if entry & _COMPRESSED:
                    self._check_compressed(entry)
                elif entry and not (entry & _READS_AS_ZEROS and not header.extended):
                    stored = self._stored(piece[number + 1] if header.extended else _ALLOCATED)
                    self._check_plain(entry & _OFFSET_MASK, min(stored, left))
                left -= header.cluster

    def _stored(self, bitmap: int) -> int:
        """Bytes of a cluster up to the last subcluster that is in the image."""
        return self._header.cluster * (bitmap & _ALLOCATED).bit_length() // _SUBCLUSTERS

    def _check_plain(self, offset: int, length: int) -> None:
        if offset and offset + length > self._reader.length:
            raise self._reader.truncated(f"a cluster of {length} bytes stands at byte {offset}")

    def _check_compressed(self, entry: int) -> None:
        """A compressed cluster ends somewhere in its last sector, which need not be in the file as a whole."""
        bits = 62 - (self._header.cluster_bits - 8)
        offset = entry & ((1 << bits) - 1)
        sectors = ((entry & (_COMPRESSED - 1)) >> bits) + 1
        end = offset // _SECTOR * _SECTOR + sectors * _SECTOR
        if end <= self._reader.length or offset in self._unpacked:
            return
        if end - _SECTOR >= self._reader.length or not self._unpacks(offset):
            raise self._reader.truncated(f"a compressed cluster at byte {offset} may end at byte {end}")
        self._unpacked.add(offset)
        if len(self._unpacked) > _MAX_ENDING:
            raise self._reader.corrupt(f"{len(self._unpacked)} compressed clusters end in the file's last sector")

    def _unpacks(self, offset: int) -> bool:
        """Whether what the file holds from `offset` on is a whole compressed cluster."""
        size = self._header.cluster
        data = self._reader.read(offset, self._reader.length - offset, "a compressed cluster")
        try:
            if self._header.zstd:
                unpacked = zstandard.ZstdDecompressor().stream_reader(data).read(size)
            else:
                unpacked = zlib.decompressobj(_ZLIB_WINDOW).decompress(data, size)
        except (zlib.error, zstandard.ZstdError):
            return False
        return len(unpacked) == size
