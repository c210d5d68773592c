"""Disks as ESXi keeps them on a datastore: a descriptor, and extents of kinds that qemu-img reads and does not write."""

import struct
from pathlib import Path

SECTOR = 512
_COWD_GRAIN = 1
_COWD_ENTRIES = 4096
_SE_GRAIN = 8
_SE_ENTRIES = 4096
_SE_TABLE = 64


def descriptor(path, create_type, extents, *, cid=0x1F2E3D4C, parent=None, parent_cid=0xFFFFFFFF):
    """Write a descriptor as ESXi does; `extents` are lines."""
    hint = f'parentFileNameHint="{parent}"\n' if parent else ""
    Path(path).write_text(
        '# Disk DescriptorFile\nversion=3\nencoding="UTF-8"\n'
        f'CID={cid:08x}\nparentCID={parent_cid:08x}\ncreateType="{create_type}"\n{hint}\n'
        "# Extent description\n" + "".join(f"{line}\n" for line in extents) + "\n"
        '# Change Tracking File\nchangeTrackPath="web01-ctk.vmdk"\n\n# The Disk Data Base\n#DDB\n\n'
        'ddb.adapterType = "lsilogic"\nddb.thinProvisioned = "1"\nddb.virtualHWVersion = "19"\n'
    )
    return Path(path)


def vmfs(path, data):
    """A thick or thin disk: a descriptor beside a flat file."""
    flat = path.with_name(f"{path.stem}-flat.vmdk")
    flat.write_bytes(data)
    return descriptor(path, "vmfs", [f'RW {len(data) // SECTOR} VMFS "{flat.name}"'])


def vmfs_sparse(path, size, writes, *, parent, **ids):
    """A snapshot of older versions (COWD), with `writes` (offset → bytes, whole sectors) on its parent."""
    delta = path.with_name(f"{path.stem}-delta.vmdk")
    delta.write_bytes(cowd(size, writes))
    return descriptor(path, "vmfsSparse", [f'RW {size // SECTOR} VMFSSPARSE "{delta.name}"'], parent=parent, **ids)


def se_sparse(path, size, writes, *, parent, zeros=(), **ids):
    """A snapshot on VMFS 6, with `writes` (offset → bytes, whole grains of 4 KiB) and grains of zeros on its parent."""
    delta = path.with_name(f"{path.stem}-sesparse.vmdk")
    delta.write_bytes(se_extent(size, writes, zeros))
    return descriptor(path, "seSparse", [f'RW {size // SECTOR} SESPARSE "{delta.name}"'], parent=parent, **ids)


def cowd(size, writes):
    """An extent of the kind COWD. Virtual Disk Format 5.0, "ESX Server Sparse Extents"."""
    sectors = size // SECTOR
    tables = -(-sectors // (_COWD_GRAIN * _COWD_ENTRIES))
    directory = [0] * tables
    entries = {}
    grains = []
    first = 4 + -(-tables * 4 // SECTOR)
    touched = sorted(
        {(offset // SECTOR + n) // _COWD_ENTRIES for offset, data in writes.items() for n in range(len(data) // SECTOR)}
    )
    for position, table in enumerate(touched):
        directory[table] = first + position * _COWD_ENTRIES * 4 // SECTOR
        entries[table] = [0] * _COWD_ENTRIES
    at = first + len(touched) * _COWD_ENTRIES * 4 // SECTOR
    for offset, data in sorted(writes.items()):
        for n in range(len(data) // SECTOR):
            sector = offset // SECTOR + n
            entries[sector // _COWD_ENTRIES][sector % _COWD_ENTRIES] = at + len(grains)
            grains.append(data[n * SECTOR : (n + 1) * SECTOR])
    header = struct.pack("<4sIIIIIII", b"COWD", 1, 3, sectors, _COWD_GRAIN, 4, tables, at + len(grains))
    return b"".join(
        [
            header.ljust(4 * SECTOR, b"\0"),
            struct.pack(f"<{tables}I", *directory).ljust((first - 4) * SECTOR, b"\0"),
            *(struct.pack(f"<{_COWD_ENTRIES}I", *entries[table]) for table in touched),
            *grains,
        ]
    )


def se_extent(size, writes, zeros=(), *, replay=0):
    """A space-efficient extent, as QEMU's block/vmdk.c describes it."""
    sectors, coverage = size // SECTOR, _SE_GRAIN * _SE_ENTRIES
    tables = -(-sectors // coverage)
    directory_size = -(-tables * 8 // SECTOR)
    grain = {
        offset // (_SE_GRAIN * SECTOR) + n: data[n * 4096 : (n + 1) * 4096]
        for offset, data in writes.items()
        for n in range(len(data) // 4096)
    }
    touched = sorted({number // _SE_ENTRIES for number in (*grain, *zeros)})
    entries = {table: [0] * _SE_ENTRIES for table in touched}
    for place, number in enumerate(sorted(grain)):
        entries[number // _SE_ENTRIES][number % _SE_ENTRIES] = 3 << 60 | (place & 0xFFF) << 48 | place >> 12
    for number in zeros:
        entries[number // _SE_ENTRIES][number % _SE_ENTRIES] = 2 << 60
    directory = [0] * (directory_size * SECTOR // 8)
    for place, table in enumerate(touched):
        directory[table] = 1 << 60 | place
    volatile, journal, directory_at = 1, 2, 4
    tables_at = directory_at + directory_size
    grains_at = tables_at + len(touched) * _SE_TABLE
    header = struct.pack(
        "<26Q",
        *(0xCAFEBABE, 0x200000001, sectors, _SE_GRAIN, _SE_TABLE, 0, 0, 0, 0, 0),
        *(volatile, 1, journal, 1, journal, 2, directory_at, directory_size),
        *(tables_at, len(touched) * _SE_TABLE, 0, 0, 0, 0, grains_at, len(grain) * _SE_GRAIN),
    )
    return b"".join(
        [
            header.ljust(SECTOR, b"\0"),
            struct.pack("<4Q", 0xCAFECAFE, 0, 0, replay).ljust(SECTOR, b"\0"),
            bytes(2 * SECTOR),
            struct.pack(f"<{len(directory)}Q", *directory),
            *(struct.pack(f"<{_SE_ENTRIES}Q", *entries[table]) for table in touched),
            *(grain[number] for number in sorted(grain)),
        ]
    )
