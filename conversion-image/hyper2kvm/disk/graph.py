"""From a source disk to a block graph: extents and parents are verified here, and QEMU is told everything.

QEMU takes the names of a VMDK's extents from its descriptor, and nothing can override them. So it never sees a
descriptor of the source's that names other files: it gets one of ours, which names links to the files that were verified.
"""

import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hyper2kvm.disk.formats import qcow2, raw, vdi, vhd, vhdx, vmdksparse
from hyper2kvm.disk.formats.region import ImageFacts, RegionReader, opened
from hyper2kvm.disk.formats.vmdk import (
    MAX_DESCRIPTOR,
    NO_PARENT,
    Descriptor,
    Extent,
    ExtentKind,
    is_descriptor,
    parse_descriptor,
    write_descriptor,
)
from hyper2kvm.disk.nodes import FileNode, FormatDriver, ImageNode
from hyper2kvm.sources.description import FileRegion, SourceDisk
from hyper2kvm.stages.documents import FlatDisk
from hyper2kvm_api.errors import ImageError, SourceError
from hyper2kvm_api.migration import ImageFormat
from hyper2kvm_api.reasons import Reason

MAX_LINKS = 64
"""Links of a snapshot chain; ESXi allows 32."""

_EXAMINE: Mapping[ImageFormat, tuple[FormatDriver, Callable[[RegionReader], ImageFacts]]] = {
    ImageFormat.RAW: ("raw", raw.examine),
    ImageFormat.QCOW2: ("qcow2", qcow2.examine),
    ImageFormat.VHD: ("vpc", vhd.examine),
    ImageFormat.VHDX: ("vhdx", vhdx.examine),
    ImageFormat.VDI: ("vdi", vdi.examine),
}
"""Formats that are one file: QEMU's driver, and the check."""


@dataclass(frozen=True)
class _Link:
    """One VMDK of a chain: its descriptor, and the extents' files (one file, when the descriptor is embedded)."""

    region: FileRegion
    descriptor: Descriptor
    extents: tuple[FileRegion, ...]
    embedded: bool


def capacity_and_name(disk: SourceDisk) -> ImageFacts:
    """The virtual size and world-wide name of a source disk.

    Raises:
        ImageError, SourceError: as `flatten_disk`.
    """
    if disk.format is not ImageFormat.VMDK:
        return _examined(disk)
    chain = _chain(disk)
    return ImageFacts(chain[0].descriptor.capacity, chain[0].descriptor.wwn or chain[-1].descriptor.wwn)


def source_files(disk: SourceDisk) -> tuple[str, ...]:
    """Every file that a source disk consists of, newest link first.

    Raises:
        ImageError, SourceError: as `flatten_disk`.
    """
    if disk.format is not ImageFormat.VMDK:
        return (disk.region.path,)
    paths = [path for link in _chain(disk) for path in (link.region.path, *(e.path for e in link.extents))]
    return tuple(dict.fromkeys(paths))


def flatten_disk(disk: SourceDisk, scratch: Path) -> FlatDisk:
    """Build the block graph of a source disk.

    Args:
        disk: where the image lies.
        scratch: folder for descriptors of ours; made when it is needed.

    Raises:
        ImageError: the image, or one that it refers to, is damaged, incomplete, unsafe or not supported.
        SourceError: a file is missing or cannot be read.
    """
    if disk.format is not ImageFormat.VMDK:
        driver, _ = _EXAMINE[disk.format]
        facts = _examined(disk)
        node = ImageNode(driver=driver, file=_file(disk.region))
        return FlatDisk(id=disk.id, capacity=facts.capacity, node=node, links=(disk.region.path,))
    chain = _chain(disk)
    below: ImageNode | None = None
    for number, link in reversed(list(enumerate(chain))):
        below = ImageNode(driver="vmdk", file=_vmdk_file(link, scratch / f"link{number}"), backing=below)
    if below is None:
        raise ValueError("an empty chain")
    links = tuple(link.region.path for link in chain)
    return FlatDisk(id=disk.id, capacity=chain[0].descriptor.capacity, node=below, links=links)


def region_of(folder: str, name: str, missing: Reason, what: str) -> FileRegion:
    """A plain file beside others of the source.

    Args:
        folder: the folder.
        name: a plain name.
        missing: reason of the error when it is not there.
        what: what it is, for messages.

    Raises:
        ImageError: `missing`, or ImageReferenceUnsafe when it is no plain file.
    """
    path = Path(folder, name)
    try:
        found = path.lstat()
    except OSError:
        raise ImageError(missing, f"{what} {name} is not in {folder}", file=name) from None
    if not stat.S_ISREG(found.st_mode):
        raise ImageError(Reason.IMAGE_REFERENCE_UNSAFE, f"{what} {name} in {folder} is no plain file", file=name)
    return FileRegion(path=str(path), length=found.st_size)


def _examined(disk: SourceDisk) -> ImageFacts:
    _, examine = _EXAMINE[disk.format]
    with opened(disk.region) as reader:
        return examine(reader)


def _file(region: FileRegion) -> FileNode:
    whole = region.offset == 0 and region.length == Path(region.path).stat().st_size
    return FileNode(filename=region.path, offset=region.offset, length=None if whole else region.length)


def _chain(disk: SourceDisk) -> list[_Link]:
    """The links of a VMDK, newest first, with every parent's content id as its child remembers it."""
    chain = [_link(disk.region, disk.siblings)]
    while (child := chain[-1].descriptor).parent is not None:
        if disk.siblings is None:
            raise ImageError(Reason.PARENT_MISSING, f"{disk.region.path}: a snapshot without its base", disk=disk.id)
        if len(chain) == MAX_LINKS:
            raise ImageError(Reason.IMAGE_CORRUPT, f"{disk.region.path}: more than {MAX_LINKS} snapshots", disk=disk.id)
        parent = _link(region_of(disk.siblings, child.parent, Reason.PARENT_MISSING, "the parent"), disk.siblings)
        _check_parent(chain, parent)
        chain.append(parent)
    return chain


def _check_parent(chain: list[_Link], parent: _Link) -> None:
    child = chain[-1]
    name = Path(child.region.path).name
    if any(link.region.path == parent.region.path for link in chain):
        raise ImageError(Reason.IMAGE_CORRUPT, f"{name}: the chain of snapshots leads back to itself", file=name)
    if parent.descriptor.cid != child.descriptor.parent_cid:
        raise ImageError(
            Reason.PARENT_CHANGED,
            f"{name} was made on {Path(parent.region.path).name} with content id {child.descriptor.parent_cid:08x}, "
            f"which now has {parent.descriptor.cid:08x}",
            file=name,
        )
    if parent.descriptor.capacity > child.descriptor.capacity:
        raise ImageError(Reason.IMAGE_CORRUPT, f"{name} is smaller than its parent", file=name)


def _link(region: FileRegion, siblings: str | None) -> _Link:
    with opened(region) as reader:
        start = reader.read(0, min(512, reader.length), "start")
        if start.startswith((vmdksparse.HOSTED_MAGIC, vmdksparse.ESX_MAGIC)):
            return _embedded(region, reader)
        if not is_descriptor(start):
            raise reader.mismatch("VMDK")
        if region.length > MAX_DESCRIPTOR:
            raise reader.corrupt(f"a descriptor of {region.length} bytes")
        descriptor = parse_descriptor(
            reader.read(0, region.length, "descriptor").decode("utf-8", "replace"), reader.name
        )
    if siblings is None:
        raise SourceError(Reason.ARCHIVE_INCOMPLETE, f"{region.path}: a descriptor without room for its extents")
    extents = tuple(_extent(siblings, extent) for extent in descriptor.extents)
    return _Link(region, descriptor, extents, embedded=False)


def _embedded(region: FileRegion, reader: RegionReader) -> _Link:
    sparse = vmdksparse.examine(reader)
    if not sparse.descriptor:
        raise reader.unsupported(
            "an extent without its descriptor", "Name the disk's descriptor (the small .vmdk) in place of its extent."
        )
    descriptor = parse_descriptor(sparse.descriptor, reader.name)
    if len(descriptor.extents) != 1 or descriptor.extents[0].sectors != sparse.sectors:
        raise reader.corrupt("the embedded descriptor does not describe this extent")
    return _Link(region, descriptor, (), embedded=True)


def _extent(folder: str, extent: Extent) -> FileRegion:
    if extent.kind is ExtentKind.ZERO:
        return FileRegion(path="/dev/zero", length=0)
    region = region_of(folder, extent.file, Reason.EXTENT_MISSING, "the extent")
    with opened(region) as reader:
        if extent.kind in {ExtentKind.FLAT, ExtentKind.VMFS}:
            end = (extent.offset + extent.sectors) * vmdksparse.SECTOR
            if end > region.length:
                raise reader.truncated(f"the extent should end at byte {end}")
        elif vmdksparse.examine(reader).sectors < extent.sectors:
            raise reader.truncated(f"the extent should have {extent.sectors} sectors")
    return region


def _vmdk_file(link: _Link, folder: Path) -> FileNode:
    """What QEMU's vmdk driver is given: the file itself when all is in it, else a descriptor of ours."""
    if link.embedded:
        return _file(link.region)
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for number, (extent, region) in enumerate(zip(link.descriptor.extents, link.extents, strict=True)):
        if extent.kind is ExtentKind.ZERO:
            names.append("")
            continue
        names.append(f"extent-{number:03}")
        target = folder / names[-1]
        target.unlink(missing_ok=True)
        target.symlink_to(region.path)
    descriptor = folder / "disk.vmdk"
    descriptor.write_text(write_descriptor(link.descriptor, tuple(names)))
    return FileNode(filename=str(descriptor))


__all__ = ["MAX_LINKS", "NO_PARENT", "capacity_and_name", "flatten_disk", "region_of", "source_files"]
