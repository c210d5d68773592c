"""From a source's disk to a block graph: QEMU is told everything, and opens the graph once to be compared.

QEMU takes the names of a VMDK's extents from its descriptor, and nothing can override them. So it never sees a
descriptor of the source's that names other files: it gets one of ours, which names links to the files that were verified.
"""

from collections.abc import Mapping
from pathlib import Path

from hyper2kvm.disk.connection import Connection
from hyper2kvm.disk.formats.vmdk import SECTOR, Descriptor, write_descriptor
from hyper2kvm.disk.image import Link, SourceDisk
from hyper2kvm.disk.location import NO_EXPORTS, Exports, FileRegion, Location
from hyper2kvm.disk.nodes import ExportNode, FileNode, FlatDisk, FormatDriver, ImageNode
from hyper2kvm.disk.server import NbdServer
from hyper2kvm.workspace import host_errors
from hyper2kvm_api.errors import HostError, ImageError
from hyper2kvm_api.migration import ImageFormat
from hyper2kvm_api.reasons import Reason

_DRIVERS: Mapping[ImageFormat, FormatDriver] = {
    ImageFormat.VMDK: "vmdk",
    ImageFormat.RAW: "raw",
    ImageFormat.QCOW2: "qcow2",
    ImageFormat.VHD: "vpc",
    ImageFormat.VHDX: "vhdx",
    ImageFormat.VDI: "vdi",
}
_ZEROS = "zeros"
"""An empty file of ours that is as large as the largest extent of zeros, and takes no room."""


def flatten_disk(disk: SourceDisk, scratch: Path) -> FlatDisk:
    """Build the block graph of a source disk.

    Args:
        disk: the image as it was found.
        scratch: folder for descriptors of ours; made when it is needed.

    Raises:
        HostError: WorkspaceFull or WorkspaceUnusable.
    """
    node: ImageNode | None = None
    for number, link in reversed(list(enumerate(disk.links))):
        file, extents = _file(link, scratch / f"link{number}")
        node = ImageNode(driver=_DRIVERS[disk.format], file=file, extents=extents, backing=node)
    if node is None:
        raise ValueError("an empty chain")
    return FlatDisk(
        id=disk.id,
        capacity=disk.capacity,
        node=node.replaced(size=disk.capacity) if _rounded(disk.links[0]) else node,
        links=tuple(link.location.name for link in disk.links),
    )


def check_opens(flat: FlatDisk, sockets: Path, log: Path, exports: Exports = NO_EXPORTS) -> None:
    """Have QEMU open a graph, and compare the size that it serves.

    Args:
        flat: the disk.
        sockets: folder with a short path.
        log: file that takes QEMU's messages.
        exports: sockets of the source's exports.

    Raises:
        ImageError: ImageUnsupported, in QEMU's own words, or ImageCorrupt.
        HostError: ProgramMissing or ProgramTimedOut.
    """
    try:
        with (
            NbdServer(flat.node.options(exports), sockets / "graph.sock", writable=False, log=log) as server,
            Connection(server.uri) as connection,
        ):
            served = connection.size
    except HostError as error:
        if error.reason is not Reason.PROGRAM_FAILED:
            raise
        # qemu-nbd quotes the whole graph before it says what it has against it.
        words = error.message.rpartition("': ")[2]
        message = f"{flat.links[0]} is not opened by QEMU: {words}"
        raise ImageError(Reason.IMAGE_UNSUPPORTED, message, disk=flat.id, file=flat.links[0]) from error
    if served != flat.capacity:
        message = f"{flat.links[0]}: QEMU reads {served} bytes of it, its structures say {flat.capacity}"
        raise ImageError(Reason.IMAGE_CORRUPT, message, disk=flat.id, file=flat.links[0])


def graph_holds(flat: FlatDisk) -> bool:
    """Whether the files that a graph names are there: the source's, and descriptors of ours."""
    node: ImageNode | None = flat.node
    while node is not None:
        if isinstance(node.file, FileNode) and not Path(node.file.filename).exists():
            return False
        node = node.backing
    return True


def _rounded(link: Link) -> bool:
    """Whether QEMU would go by headers that state more sectors than the descriptor."""
    return link.descriptor is not None and link.sectors * SECTOR > link.descriptor.capacity


def _file(link: Link, folder: Path) -> tuple[FileNode | ExportNode, int]:
    """What QEMU's driver is given, and how many files it names: the image itself, or a descriptor of ours."""
    if link.descriptor is None or not link.extents:
        return _node(link.location), 0
    with host_errors(folder):
        return _described(link.descriptor, link.extents, folder), len(link.extents)


def _node(location: Location) -> FileNode | ExportNode:
    if not isinstance(location, FileRegion):
        return ExportNode(export=location.export)
    whole = location.offset == 0 and location.length == Path(location.path).stat().st_size
    return FileNode(filename=location.path, offset=location.offset, length=None if whole else location.length)


def _described(descriptor: Descriptor, files: tuple[FileRegion | None, ...], folder: Path) -> FileNode:
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    zeros = 0
    for number, (extent, region) in enumerate(zip(descriptor.extents, files, strict=True)):
        if region is None:
            zeros = max(zeros, extent.sectors)
            names.append(_ZEROS)
            continue
        names.append(f"extent-{number:03}")
        link = folder / names[-1]
        link.unlink(missing_ok=True)
        link.symlink_to(region.path)
    if zeros:
        with (folder / _ZEROS).open("wb") as empty:
            empty.truncate(zeros * SECTOR)
    made = folder / "disk.vmdk"
    made.write_text(write_descriptor(descriptor, tuple(names)))
    return FileNode(filename=str(made))
