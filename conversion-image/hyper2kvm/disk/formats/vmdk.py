"""VMDK descriptors. Format: VMware, Virtual Disk Format 5.0, sections "The Descriptor File" and "Links".

A descriptor is text, alone in a file or embedded in a sparse extent. It names extents, and the parent of a snapshot.
"""

import re
from enum import StrEnum

from pydantic import Field

from hyper2kvm_api.document import Document
from hyper2kvm_api.errors import ImageError
from hyper2kvm_api.reasons import Reason

MAX_DESCRIPTOR = 1024 * 1024
"""Bytes of a descriptor; a disk of many 2 GB extents has about 100 bytes a line."""

SECTOR = 512

_MAX_EXTENTS = 4096
_EXTENT = re.compile(
    r'(RW|RDONLY|NOACCESS)\s+([0-9]{1,15})\s+([A-Z0-9]+)(?:\s+"([^"]*)"(?:\s+([0-9]{1,15}))?)?(?:\s.*)?'
)
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
    SESPARSE = "SESPARSE"
    ZERO = "ZERO"

    @property
    def flat(self) -> bool:
        """Whether its file holds the disk's bytes and nothing else."""
        return self in {ExtentKind.FLAT, ExtentKind.VMFS}


_REFUSED = {"VMFSRDM": "is a raw device mapping", "VMFSRAW": "is a raw device"}


class Extent(Document):
    """One piece of a disk."""

    sectors: int = Field(gt=0)
    """Its length in sectors of 512 bytes."""
    kind: ExtentKind
    """How the data is stored."""
    file: str = ""
    """Name of the file, beside the descriptor; empty for ZERO, and of an extent that the descriptor is embedded in."""
    offset: int = Field(default=0, ge=0)
    """First sector in the file, of a flat one."""


class Descriptor(Document):
    """What a descriptor says."""

    cid: int
    """Content id, which changes with each write."""
    parent_cid: int
    """Content id that the parent had; NO_PARENT without one."""
    parent: str | None = None
    """File name of the parent."""
    extents: tuple[Extent, ...]
    """The pieces in order."""
    wwn: str | None = None
    """NAA name of the disk in lower-case hexadecimal."""

    @property
    def capacity(self) -> int:
        """Virtual size in bytes."""
        return sum(extent.sectors for extent in self.extents) * SECTOR


def is_descriptor(start: bytes) -> bool:
    """Whether a file begins like a descriptor (comments and blank lines may stand before its first entry)."""
    text = start.decode("latin-1").lstrip("\ufeff \t\r\n").lower()
    return text.startswith(("# disk descriptorfile", "#disk descriptorfile", "version="))


def parse_descriptor(text: str, name: str, *, embedded: bool = False) -> Descriptor:
    """Read a descriptor.

    Args:
        text: the text, without the NULs that fill an extent after it.
        name: the file, for messages.
        embedded: whether it stands inside of its one extent. The name of that is a label then, which nobody opens:
            VMware writes `RDONLY 8192 SPARSE "generated-stream.vmdk"`.

    Raises:
        ImageError: ImageCorrupt, ImageUnsupported or ImageReferenceUnsafe.
    """
    entries: dict[str, str] = {}
    extents: list[Extent] = []
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        extent = _EXTENT.fullmatch(line)
        if extent is not None:
            extents.append(_extent(extent, name, embedded=embedded))
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
        extents=tuple(extents),
        wwn=_wwn(entries.get("ddb.uuid", "")),
    )


def write_descriptor(descriptor: Descriptor, files: tuple[str, ...]) -> str:
    """A descriptor of ours with the same content ids and extents, whose data lies in `files` (one an extent).

    QEMU passes over lines that are not RW, and over extents of zeros; it takes an offset for FLAT alone (block/vmdk.c,
    vmdk_parse_extents). So every extent is RW, and what is no sparse file is FLAT: its file may be one of zeros.
    """
    lines = [
        "# Disk DescriptorFile",
        "version=1",
        f"CID={descriptor.cid:08x}",
        f"parentCID={descriptor.parent_cid:08x}",
        'createType="vmfs"',  # one of those that QEMU knows; it makes no difference between them
    ]
    for extent, file in zip(descriptor.extents, files, strict=True):
        if extent.kind.flat or extent.kind is ExtentKind.ZERO:
            lines.append(f'RW {extent.sectors} {ExtentKind.FLAT} "{file}" {extent.offset}')
        else:
            lines.append(f'RW {extent.sectors} {extent.kind} "{file}"')
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


def _extent(match: re.Match[str], name: str, *, embedded: bool) -> Extent:
    access, sectors, kind, file, offset = match.groups()
    if kind in _REFUSED:
        raise ImageError(
            Reason.IMAGE_UNSUPPORTED,
            f"{name}: the extent {file!r} {_REFUSED[kind]}, which is not read",
            hint="Clone the disk at the source to a plain one (vmkfstools -i), or remove its snapshots.",
            file=name,
        )
    if kind not in set(ExtentKind) or access == "NOACCESS":
        raise ImageError(Reason.IMAGE_UNSUPPORTED, f"{name}: an extent of type {kind}, access {access}", file=name)
    if int(sectors) == 0 or (file is None and kind != ExtentKind.ZERO):
        raise _corrupt(name, f"an extent of {sectors} sectors in {file!r}")
    if kind == ExtentKind.ZERO or embedded:
        return Extent(sectors=int(sectors), kind=ExtentKind(kind))
    return Extent(
        sectors=int(sectors), kind=ExtentKind(kind), file=plain_name(file, name, "extent"), offset=int(offset or 0)
    )


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
