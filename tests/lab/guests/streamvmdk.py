"""Stream-optimised VMDKs as VMware writes them: in one pass, so that the grain directory stands at the end.

Format: VMware, Virtual Disk Format 5.0, "Stream-Optimized Compressed Sparse Extents"; the descriptor's wording is that of
ESXi's export. qemu-img writes another form: the directory first, no markers of tables, no footer.
"""

import itertools
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

SECTOR = 512
GRAIN = 128 * SECTOR
_ENTRIES = 512
_OVERHEAD = 128
_AT_END = 0xFFFF_FFFF_FFFF_FFFF
_FLAGS = 0x30001
"""Line ends can be checked, grains are compressed, and markers tell what is what."""
_HEADER = struct.Struct("<4sIIQQQQIQQQB4sH433x")
_MARKER = struct.Struct("<QII496x")
_GRAIN_MARKER = struct.Struct("<QI")
_END_OF_STREAM, _TABLE, _DIRECTORY, _FOOTER = range(4)
_DESCRIPTOR = """\
# Disk DescriptorFile
version=1
CID={cid:08x}
parentCID=ffffffff
createType="streamOptimized"

# Extent description
RDONLY {sectors} SPARSE "call-me-stream.vmdk"

# The Disk Data Base
#DDB

ddb.adapterType = "lsilogic"
ddb.geometry.cylinders = "{cylinders}"
ddb.geometry.heads = "255"
ddb.geometry.sectors = "63"
ddb.longContentID = "{cid:032x}"
ddb.toolsInstallType = "4"
ddb.toolsVersion = "12352"
ddb.virtualHWVersion = "19"
"""


def write_stream(raw: Path, target: Path) -> None:
    """Write a raw disk as VMware's exports do. Grains of zeros are left out."""
    sectors = raw.stat().st_size // SECTOR
    with raw.open("rb") as disk, target.open("wb") as stream:
        stream.write(_header(sectors, _AT_END))
        stream.write(_descriptor(sectors, raw).ljust(_OVERHEAD * SECTOR - SECTOR, b"\0"))
        grains = ((number, data) for number, data in enumerate(_read_grains(disk)) if any(data))
        tables = {}
        for number, group in itertools.groupby(grains, key=lambda grain: grain[0] // _ENTRIES):
            table = [0] * _ENTRIES
            for grain, data in group:
                table[grain % _ENTRIES] = stream.tell() // SECTOR
                _put(stream, _compressed(grain, data))
            tables[number] = _marked(stream, _TABLE, struct.pack(f"<{_ENTRIES}I", *table))
        count = -(-sectors * SECTOR // (GRAIN * _ENTRIES))
        directory = struct.pack(f"<{count}I", *(tables.get(number, 0) for number in range(count)))
        _marked(stream, _FOOTER, _header(sectors, _marked(stream, _DIRECTORY, directory)))
        stream.write(_MARKER.pack(0, 0, _END_OF_STREAM))


def _read_grains(disk: BinaryIO) -> Iterator[bytes]:
    while data := disk.read(GRAIN):
        yield data.ljust(GRAIN, b"\0")


def _compressed(number: int, data: bytes) -> bytes:
    packed = zlib.compress(data, 6)
    return _GRAIN_MARKER.pack(number * GRAIN // SECTOR, len(packed)) + packed


def _marked(stream: BinaryIO, kind: int, content: bytes) -> int:
    """Write what follows a marker of its kind; returns the sector of the content."""
    stream.write(_MARKER.pack(-(-len(content) // SECTOR), 0, kind))
    at = stream.tell() // SECTOR
    _put(stream, content)
    return at


def _put(stream: BinaryIO, content: bytes) -> None:
    stream.write(content.ljust(-(-len(content) // SECTOR) * SECTOR, b"\0"))


def _header(sectors: int, directory: int) -> bytes:
    fields = (b"KDMV", 3, _FLAGS, sectors, GRAIN // SECTOR, 1, 20, _ENTRIES, 0, directory, _OVERHEAD, 0, b"\n \r\n", 1)
    return _HEADER.pack(*fields)


def _descriptor(sectors: int, raw: Path) -> bytes:
    cid = zlib.crc32(raw.name.encode()) & 0x7FFF_FFFF
    return _DESCRIPTOR.format(cid=cid, sectors=sectors, cylinders=sectors // (255 * 63)).encode()
