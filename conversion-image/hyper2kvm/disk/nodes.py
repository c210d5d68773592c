"""The block graph: which driver reads which bytes, and what lies under them. Built by us, never by an image's header.

The options that come out of it are QEMU's own (docs/interop/qemu-qmp-ref, BlockdevOptions). Every node names its
driver, so that no format is probed, and its backing node or null, so that no header is followed.
"""

from typing import Literal

from pydantic import Field

from hyper2kvm_api.document import Document

FormatDriver = Literal["raw", "qcow2", "vmdk", "vpc", "vhdx", "vdi"]
"""QEMU's names of the formats (`vpc` is VHD)."""


class FileNode(Document):
    """Bytes of a host file, read-only."""

    filename: str = Field(pattern=r"^/")
    """Absolute path."""
    offset: int = Field(default=0, ge=0)
    """First byte."""
    length: int | None = Field(default=None, ge=0)
    """Number of bytes; to the end when absent."""

    def options(self) -> dict[str, object]:
        """QEMU's options of the node."""
        file: dict[str, object] = {
            "driver": "file",
            "filename": self.filename,
            "read-only": True,
            "locking": "off",
        }
        if self.offset == 0 and self.length is None:
            return file
        size = {} if self.length is None else {"size": self.length}
        return {"driver": "raw", "offset": self.offset, **size, "read-only": True, "file": file}


class ImageNode(Document):
    """A disk image, read-only, on its parent."""

    driver: FormatDriver
    """QEMU driver of the format."""
    file: FileNode
    """The image, or a descriptor that we wrote."""
    backing: "ImageNode | None" = None
    """What is read where the image holds nothing."""

    def options(self) -> dict[str, object]:
        """QEMU's options of the node, backing nodes included."""
        made: dict[str, object] = {"driver": self.driver, "read-only": True, "file": self.file.options()}
        if self.driver == "vpc":
            # Otherwise QEMU decides by the creator's name whether the geometry, which rounds, or the size counts.
            made["force_size_calc"] = "current_size"
        if self.driver in {"qcow2", "vmdk"}:
            made["backing"] = self.backing.options() if self.backing else None
        return made


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
