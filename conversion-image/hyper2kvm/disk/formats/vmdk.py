"""VMDK descriptors. Format: VMware, Virtual Disk Format 5.0, sections "The Descriptor File" and "Links".

A descriptor is text, alone in a file or embedded in a sparse extent. It names extents, and the parent of a snapshot.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from hyper2kvm_api.errors import ImageError
from hyper2kvm_api.reasons import Reason

MAX_DESCRIPTOR = 1024 * 1024
"""Bytes of a descriptor; a disk of many 2 GB extents has about 100 bytes a line."""

_MAX_EXTENTS = 4096
_EXTENT = re.compile(r'(RW|RDONLY|NOACCESS)\s+(\d+)\s+([A-Z0-9]+)(?:\s+"([^"]*)"(?:\s+(\d+))?)?.*')
_ENTRY = re.compile(r'([A-Za-z0-9_.]+)\s*=\s*(?:"([^"]*)"|(\S*))\s*')
_CID = re.compile(r"[0-9a-fA-F]{1,8}")
_NAA = "6000c29"

NO_PARENT = 0xFFFF_FFFF
"""parentCID of a disk without a parent."""


class ExtentKind(StrEnum):
    """Types of extents that hold data."""

    FLAT = "FLAT"
    VMFS = "VMFS"
    SPARSE = "SPARSE"
    VMFSSPARSE = "VMFSSPARSE"
    ZERO = "ZERO"


_REFUSED = {
    "VMFSRDM": "is a raw device mapping",
    "VMFSRAW": "is a raw device",
    "SESPARSE": "is a space-efficient sparse snapshot",
}


@dataclass(frozen=True)
class Extent:
    """One piece of a disk.

    Attributes:
        sectors: its length in sectors of 512 bytes.
        kind: how the data is stored.
        file: name of the file, beside the descriptor; empty for ZERO.
        offset: first sector in the file, for FLAT and VMFS.
    """

    sectors: int
    kind: ExtentKind
    file: str
    offset: int


@dataclass(frozen=True)
class Descriptor:
    """What a descriptor says.

    Attributes:
        cid: content id, which changes with each write.
        parent_cid: content id that the parent had; NO_PARENT without one.
        parent: file name of the parent, or None.
        create_type: such as `monolithicSparse`.
        extents: the pieces in order.
        wwn: NAA name of the disk in lower-case hexadecimal, or None.
    """

    cid: int
    parent_cid: int
    parent: str | None
    create_type: str
    extents: tuple[Extent, ...]
    wwn: str | None

    @property
    def capacity(self) -> int:
        """Virtual size in bytes."""
        return sum(extent.sectors for extent in self.extents) * 512


def is_descriptor(start: bytes) -> bool:
    """Whether a file begins like a descriptor (comments and blank lines may stand before its first entry)."""
    text = start.decode("latin-1").lstrip("\ufeff \t\r\n").lower()
    return text.startswith(("# disk descriptorfile", "#disk descriptorfile", "version="))


def parse_descriptor(text: str, name: str) -> Descriptor:
    """Read a descriptor.

    Args:
        text: the text; NULs after its end are ignored.
        name: the file, for messages.

    Raises:
        ImageError: ImageCorrupt, ImageUnsupported or ImageReferenceUnsafe.
    """
    entries: dict[str, str] = {}
    extents: list[Extent] = []
    for raw in text.partition("\0")[0].splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        extent = _EXTENT.fullmatch(line)
        if extent is not None:
            extents.append(_extent(extent, name))
            continue
        entry = _ENTRY.fullmatch(line)
        if entry is None:
            raise _corrupt(name, f"the descriptor has a line that is not understood: {line[:60]!r}")
        entries[entry[1].lower()] = entry[2] if entry[2] is not None else entry[3]
    if not extents or len(extents) > _MAX_EXTENTS:
        raise _corrupt(name, f"the descriptor names {len(extents)} extents")
    parent_cid = _cid(entries, "parentcid", NO_PARENT, name)
    hint = entries.get("parentfilenamehint") or None
    if parent_cid != NO_PARENT and hint is None:
        raise _corrupt(name, "the descriptor has a parent and does not name it")
    return Descriptor(
        cid=_cid(entries, "cid", None, name),
        parent_cid=parent_cid,
        parent=plain_name(hint, name, "parent") if hint is not None and parent_cid != NO_PARENT else None,
        create_type=entries.get("createtype", ""),
        extents=tuple(extents),
        wwn=_wwn(entries.get("ddb.uuid", "")),
    )


def write_descriptor(descriptor: Descriptor, files: tuple[str, ...]) -> str:
    """A descriptor of ours with the same content ids and extents, whose data lies in `files` (one an extent)."""
    lines = [
        "# Disk DescriptorFile",
        "version=1",
        f"CID={descriptor.cid:08x}",
        f"parentCID={descriptor.parent_cid:08x}",
        f'createType="{descriptor.create_type}"',
    ]
    for extent, file in zip(descriptor.extents, files, strict=True):
        place = f' "{file}"' + (f" {extent.offset}" if extent.kind in {ExtentKind.FLAT, ExtentKind.VMFS} else "")
        lines.append(f"RW {extent.sectors} {extent.kind}{place if file else ''}")
    return "\n".join(lines) + "\n"


def plain_name(reference: str, name: str, what: str) -> str:
    """A reference that is a plain file name, as it is.

    ESXi writes absolute paths of parents on other datastores (`/vmfs/volumes/…`); no path is followed.

    Raises:
        ImageError: ImageReferenceUnsafe.
    """
    unsafe = "/" in reference or "\\" in reference or reference in {"", ".", ".."} or reference.startswith("-")
    if unsafe or ":" in reference or not reference.isprintable() or len(reference.encode()) > 255:
        raise ImageError(
            Reason.IMAGE_REFERENCE_UNSAFE,
            f"{name}: its {what} {reference!r} is not a plain name of a file beside it",
            file=name,
        )
    return reference


def _extent(match: re.Match[str], name: str) -> Extent:
    access, sectors, kind, file, offset = match.groups()
    if kind in _REFUSED:
        raise ImageError(
            Reason.IMAGE_UNSUPPORTED,
            f"{name}: the extent {file!r} {_REFUSED[kind]}, which is not read",
            hint="Clone the disk at the source to a plain one (vmkfstools -i), or remove its snapshots.",
            file=name,
        )
    if kind not in set(ExtentKind) or access != "RW":
        raise ImageError(Reason.IMAGE_UNSUPPORTED, f"{name}: an extent of type {kind}, access {access}", file=name)
    if kind == ExtentKind.ZERO:
        return Extent(int(sectors), ExtentKind.ZERO, "", 0)
    if int(sectors) == 0 or file is None:
        raise _corrupt(name, f"an extent of {sectors} sectors in {file!r}")
    return Extent(int(sectors), ExtentKind(kind), plain_name(file, name, "extent"), int(offset or 0))


def _cid(entries: dict[str, str], key: str, default: int | None, name: str) -> int:
    text = entries.get(key)
    if text is None and default is not None:
        return default
    if text is None or _CID.fullmatch(text) is None:
        raise _corrupt(name, f"the descriptor's {key} is {text!r}")
    return int(text, 16)


def _wwn(uuid: str) -> str | None:
    """ESXi presents the disk's uuid, `60 00 C2 9a …`, as its NAA name."""
    digits = re.sub(r"[ -]", "", uuid).lower()
    return digits if len(digits) == 32 and digits.startswith(_NAA) else None


def _corrupt(name: str, what: str) -> ImageError:
    return ImageError(Reason.IMAGE_CORRUPT, f"{name}: {what}", file=name)
