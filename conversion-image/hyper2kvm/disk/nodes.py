"""The block graph: which driver reads which bytes, and what lies under them. Built by us, never by an image's header.

The options that come out of it are QEMU's own (docs/interop/qemu-qmp-ref, BlockdevOptions). Every node names its
driver, so that no format is probed, and its backing node or null, so that no header is followed.
"""

from typing import Literal

from pydantic import Field

from hyper2kvm.disk.location import NO_EXPORTS, Exports
from hyper2kvm_api.document import Document

FormatDriver = Literal["raw", "qcow2", "vmdk", "vpc", "vhdx", "vdi"]
"""QEMU's names of the formats (`vpc` is VHD)."""

_FILE: dict[str, object] = {"driver": "file", "read-only": True, "locking": "off"}
"""Files of a source are never locked: others may hold them, and nothing here writes them."""


class FileNode(Document):
    """Bytes of a host file, read-only."""

    filename: str = Field(pattern=r"^/")
    """Absolute path."""
    offset: int = Field(default=0, ge=0)
    """First byte."""
    length: int | None = Field(default=None, ge=0)
    """Number of bytes; to the end when absent."""

    def options(self, exports: Exports) -> dict[str, object]:  # noqa: ARG002 -- as ExportNode's
        """QEMU's options of the node."""
        file = _FILE | {"filename": self.filename}
        if self.offset == 0 and self.length is None:
            return file
        size = {} if self.length is None else {"size": self.length}
        return {"driver": "raw", "offset": self.offset, **size, "read-only": True, "file": file}


class ExportNode(Document):
    """Bytes of an NBD export that the source serves while it is open, read-only."""

    export: str
    """The source's name for it."""

    def options(self, exports: Exports) -> dict[str, object]:
        """QEMU's options of the node. Raises KeyError when the source is not open."""
        server = {"type": "unix", "path": str(exports[self.export])}
        return {"driver": "nbd", "server": server, "read-only": True}


class ImageNode(Document):
    """A disk image, read-only, on its parent."""

    driver: FormatDriver
    """QEMU driver of the format."""
    file: FileNode | ExportNode
    """The image, or a descriptor that we wrote."""
    extents: int = Field(default=0, ge=0)
    """Files that a descriptor of ours names beside itself."""
    size: int | None = Field(default=None, gt=0)
    """Bytes of the image that count, where its own header rounds up; all when absent. Never of a parent."""
    backing: "ImageNode | None" = None
    """What is read where the image holds nothing."""

    def options(self, exports: Exports = NO_EXPORTS) -> dict[str, object]:
        """QEMU's options of the node, backing nodes included."""
        made: dict[str, object] = {"driver": self.driver, "read-only": True, "file": self.file.options(exports)}
        if self.extents:
            # Their names come from the descriptor, and from nowhere else; all else can be told.
            made["extents"] = [_FILE] * self.extents
        if self.driver == "vpc":
            # Otherwise QEMU decides by the creator's name whether the geometry, which rounds, or the size counts.
            made["force_size_calc"] = "current_size"
        if self.driver in {"qcow2", "vmdk"}:
            made["backing"] = self.backing.options(exports) if self.backing else None
        if self.size is None:
            return made
        return {"driver": "raw", "size": self.size, "read-only": True, "file": made}


class FlatDisk(Document):
    """A disk whose bytes can be read through one block graph."""

    id: str
    """The disk's id in the machine."""
    capacity: int = Field(gt=0)
    """Virtual size in bytes, as the image says."""
    node: ImageNode
    """The graph over the source, read-only."""
    links: tuple[str, ...]
    """Names of the chain's images, newest first, for the report."""


def overlay_options(overlay: str, base: dict[str, object]) -> dict[str, object]:
    """QEMU's options of a writable qcow2 overlay on a base.

    The overlay's header names no backing file: the base is given here and nowhere else.

    Args:
        overlay: absolute path of the qcow2 file.
        base: options of the node under it.
    """
    return {
        "driver": "qcow2",
        "discard": "unmap",
        "file": {"driver": "file", "filename": overlay, "discard": "unmap"},
        "backing": base,
    }
