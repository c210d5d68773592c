"""The image of a source's disk, looked at once: every file of it found, every parent compared, every structure bounded.

What is found is kept with FETCH's document; FLATTEN makes a block graph of it (graph.py).
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import Field

from hyper2kvm.disk.formats import qcow2, raw, vdi, vhd, vhdx, vmdksesparse, vmdksparse
from hyper2kvm.disk.formats.encoding import decoded
from hyper2kvm.disk.formats.region import ImageFacts, RegionReader, opened
from hyper2kvm.disk.formats.vmdk import (
    MAX_DESCRIPTOR,
    SECTOR,
    Descriptor,
    Extent,
    ExtentKind,
    is_descriptor,
    parse_descriptor,
)
from hyper2kvm.disk.location import NO_EXPORTS, Exports, FileRegion, Location, beside
from hyper2kvm_api.document import Document
from hyper2kvm_api.errors import Hyper2kvmError, ImageError, SourceError
from hyper2kvm_api.migration import ImageFormat
from hyper2kvm_api.reasons import Reason

MAX_LINKS = 64
"""Links of a snapshot chain; ESXi allows 32."""

MAX_CAPACITY = 64 << 40
"""Bytes of a disk: the most that Hyper-V and the clouds make; VMware's largest has 62 TiB. A header may claim anything."""

_EXAMINE: Mapping[ImageFormat, Callable[[RegionReader], ImageFacts]] = {
    ImageFormat.RAW: raw.examine,
    ImageFormat.QCOW2: qcow2.examine,
    ImageFormat.VHD: vhd.examine,
    ImageFormat.VHDX: vhdx.examine,
    ImageFormat.VDI: vdi.examine,
}
"""The formats that are one file."""


class Link(Document):
    """One image of a chain."""

    location: Location
    """The image, or the descriptor that names its extents."""
    descriptor: Descriptor | None = None
    """Of a VMDK: what its descriptor says."""
    extents: tuple[FileRegion | None, ...] = ()
    """Of a VMDK with extents in files of their own: those files, in order; None for an extent of zeros."""
    sectors: int = 0
    """Of a VMDK: the sectors that its extents' own headers state, which may round up what the descriptor says."""


class SourceDisk(Document):
    """The image of one of the machine's disks, as it was found."""

    id: str
    """The disk's id in the machine."""
    format: ImageFormat
    """Format of the image."""
    capacity: int = Field(gt=0, le=MAX_CAPACITY)
    """Virtual size in bytes."""
    wwn: str | None = None
    """World-wide name that the disk presents, in lower-case hexadecimal."""
    links: tuple[Link, ...] = Field(min_length=1)
    """The image; of a snapshot chain every one, newest first."""

    @property
    def location(self) -> Location:
        """Where the image lies; of a chain the newest link."""
        return self.links[0].location

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that the disk consists of, newest link first."""
        places = [place for link in self.links for place in (link.location, *link.extents)]
        return tuple(dict.fromkeys(place.path for place in places if isinstance(place, FileRegion)))


def examine_disk(
    disk: str,
    format_: ImageFormat,
    location: Location,
    *,
    siblings: str | None = None,
    exports: Exports = NO_EXPORTS,
) -> SourceDisk:
    """Look at a disk's image, and at all that it consists of.

    Args:
        disk: the disk's id in the machine.
        format_: format of the image; it is never guessed.
        location: the image, or the descriptor that names its extents. Of a snapshot chain: the newest link.
        siblings: absolute path of the folder in which extents and parents may lie; None when there can be none.
        exports: sockets of the source's exports.

    Raises:
        ImageError: the image, or one that it refers to, is damaged, incomplete, unsafe or not supported.
        SourceError: a file is missing or cannot be read.
    """
    try:
        if format_ is ImageFormat.VMDK:
            links = _chain(location, siblings, exports)
            facts = _facts(links)
        else:
            links = (Link(location=location),)
            with opened(location, exports) as reader:
                facts = _EXAMINE[format_](reader)
        _check_capacity(location, facts.capacity)
    except Hyper2kvmError as error:
        error.disk = disk
        raise
    return SourceDisk(id=disk, format=format_, capacity=facts.capacity, wwn=facts.wwn, links=links)


def _check_capacity(location: Location, capacity: int) -> None:
    if capacity > MAX_CAPACITY:
        message = f"{location.name} says that it is a disk of {capacity} bytes; at most {MAX_CAPACITY} are read"
        raise ImageError(Reason.IMAGE_UNSUPPORTED, message, file=location.name)


def _facts(links: tuple[Link, ...]) -> ImageFacts:
    descriptors = [link.descriptor for link in links if link.descriptor]
    return ImageFacts(descriptors[0].capacity, descriptors[0].wwn or descriptors[-1].wwn)


def _chain(location: Location, siblings: str | None, exports: Exports) -> tuple[Link, ...]:
    """The links of a VMDK, newest first, with every parent's content id as its child remembers it."""
    descriptor, newest = _link(location, siblings, exports)
    chain = [newest]
    while descriptor.parent is not None:
        name = chain[-1].location.name
        if siblings is None:
            raise ImageError(Reason.PARENT_MISSING, f"{name}: a snapshot without its base", file=name)
        if len(chain) == MAX_LINKS:
            raise ImageError(Reason.IMAGE_CORRUPT, f"{name}: more than {MAX_LINKS} snapshots", file=name)
        region = beside(siblings, descriptor.parent, Reason.PARENT_MISSING, "the parent")
        if region in (link.location for link in chain):
            raise ImageError(
                Reason.IMAGE_CORRUPT, f"{Path(name).name}: the chain of snapshots leads back to itself", file=name
            )
        parent, link = _link(region, siblings, exports)
        _check_parent(Path(name).name, descriptor, Path(region.path).name, parent)
        chain.append(link)
        descriptor = parent
    return tuple(chain)


def _check_parent(name: str, child: Descriptor, parent_name: str, parent: Descriptor) -> None:
    if parent.cid != child.parent_cid:
        raise ImageError(
            Reason.PARENT_CHANGED,
            f"{name} was made on {parent_name} with content id {child.parent_cid:08x}, which now has {parent.cid:08x}",
            file=name,
        )
    if parent.capacity > child.capacity:
        raise ImageError(Reason.IMAGE_CORRUPT, f"{name} is smaller than its parent", file=name)


def _link(location: Location, siblings: str | None, exports: Exports) -> tuple[Descriptor, Link]:
    with opened(location, exports) as reader:
        start = reader.read(0, min(SECTOR, reader.length), "start")
        if start.startswith((vmdksparse.HOSTED_MAGIC, vmdksparse.ESX_MAGIC)):
            descriptor, sectors = _embedded(reader)
            return descriptor, Link(location=location, descriptor=descriptor, sectors=sectors)
        if not is_descriptor(start):
            raise reader.mismatch("VMDK")
        if reader.length > MAX_DESCRIPTOR:
            raise reader.corrupt(f"a descriptor of {reader.length} bytes")
        text = decoded(reader.read(0, reader.length, "descriptor"))
    descriptor = parse_descriptor(text, location.name)
    if siblings is None:
        raise SourceError(Reason.ARCHIVE_INCOMPLETE, f"{location.name}: a descriptor without room for its extents")
    last = len(descriptor.extents) - 1
    found = [_extent(siblings, extent, last=at == last) for at, extent in enumerate(descriptor.extents)]
    extents = tuple(file for file, _ in found)
    sectors = sum(stated for _, stated in found)
    return descriptor, Link(location=location, descriptor=descriptor, extents=extents, sectors=sectors)


def _embedded(reader: RegionReader) -> tuple[Descriptor, int]:
    """The descriptor inside of an extent, and the sectors that the extent's header states: a whole number of grains."""
    sparse = vmdksparse.examine(reader)
    if not sparse.descriptor:
        raise reader.unsupported(
            "an extent without its descriptor", "Name the disk's descriptor (the small .vmdk) in place of its extent."
        )
    descriptor = parse_descriptor(sparse.descriptor, reader.name, embedded=True)
    if len(descriptor.extents) != 1 or descriptor.extents[0].sectors > sparse.sectors:
        raise reader.corrupt("the embedded descriptor does not describe this extent")
    return descriptor, sparse.sectors


def _extent(folder: str, extent: Extent, *, last: bool) -> tuple[FileRegion | None, int]:
    """The file of an extent, looked at (none for zeros), and the sectors that its own header states."""
    if extent.kind is ExtentKind.ZERO:
        return None, extent.sectors
    region = beside(folder, extent.file, Reason.EXTENT_MISSING, "the extent")
    with opened(region) as reader:
        if extent.kind.flat:
            end = (extent.offset + extent.sectors) * SECTOR
            if end > region.length:
                raise reader.truncated(f"the extent should end at byte {end}")
            return region, extent.sectors
        sparse = (vmdksesparse if extent.kind is ExtentKind.SESPARSE else vmdksparse).examine(reader)
        if sparse.footer:
            raise reader.unsupported("a stream-optimised extent with its descriptor in another file")
        # QEMU goes by the extent's own header: what is larger than stated would move all that comes after it.
        if sparse.sectors < extent.sectors or (sparse.sectors > extent.sectors and not last):
            raise reader.corrupt(f"its header states {sparse.sectors} sectors, the descriptor {extent.sectors}")
        return region, sparse.sectors
