"""What QEMU finds out about a finished image: its size, and whether its structures are sound."""

import json
import os
from pathlib import Path

import pydantic

from hyper2kvm.disk.formats.qcow2 import names_data_file
from hyper2kvm.run import last_lines, run
from hyper2kvm_api.document import Document
from hyper2kvm_api.errors import ImageError, ValidationError
from hyper2kvm_api.options import DiskFormat
from hyper2kvm_api.reasons import Reason

_DEADLINE = 3600.0
"""Seconds. A check reads an image's metadata alone: about 1 GiB for a full 8 TiB disk."""

_CHECKED = frozenset({DiskFormat.QCOW2, DiskFormat.VDI})
"""Formats with structures that can be checked; qemu-img-check(1)."""


class _Info(Document):
    """The part of `qemu-img info --output=json` that is used."""

    model_config = pydantic.ConfigDict(extra="ignore", alias_generator=lambda name: name.replace("_", "-"))

    virtual_size: int
    format: str


def virtual_size(path: Path, format_: DiskFormat) -> int:
    """The size in bytes that a guest sees. The format is not guessed, and no file that the image names is opened.

    Raises:
        ImageError: ImageFormatMismatch, or ImageReferenceUnsafe: the image keeps its content in another file.
        HostError: ProgramMissing or ProgramTimedOut.
    """
    if format_ is DiskFormat.RAW:
        return _length(path)
    done = run(["qemu-img", "info", "--output=json", _node(path, format_)], deadline=_DEADLINE, check=False)
    if done.code != 0:
        raise ImageError(
            Reason.IMAGE_FORMAT_MISMATCH,
            f"{path} is no readable {format_} image: {last_lines(done.stderr)}",
            hint="State the format that the image has: formats are never guessed from content.",
            file=str(path),
        )
    return _Info.model_validate_json(done.stdout).virtual_size


def check_image(disk: str, path: Path, format_: DiskFormat, capacity: int) -> None:
    """Check that an image has the size that it should have, and structures without contradictions.

    Args:
        disk: id of the disk, for messages.
        path: the image: a file or a block device.
        format_: its format.
        capacity: the size in bytes that a guest must see; a block device may be larger.

    Raises:
        ValidationError: ContentMismatch.
        ImageError: qemu-img does not read the image at all.
        HostError: ProgramMissing or ProgramTimedOut.
    """
    size = virtual_size(path, format_)
    if size != capacity and not (path.is_block_device() and format_ is DiskFormat.RAW and size > capacity):
        raise _mismatch(disk, f"{path} has {size} bytes and should have {capacity}")
    if format_ not in _CHECKED:
        return
    done = run(["qemu-img", "check", "-q", _node(path, format_)], deadline=_DEADLINE, check=False)
    if done.code != 0:
        said = last_lines(done.stderr or done.text)
        raise _mismatch(disk, f"qemu-img check ended with {done.code} for {path}: {said}")


def _node(path: Path, format_: DiskFormat) -> str:
    """The image for qemu-img: in its format, without a base."""
    driver = "host_device" if path.is_block_device() else "file"
    options: dict[str, object] = {"driver": str(format_), "file": {"driver": driver, "filename": str(path)}}
    if format_ is DiskFormat.QCOW2:
        refuse_data_file(path)
        options["backing"] = None
    return f"json:{json.dumps(options)}"


def refuse_data_file(path: Path) -> None:
    """Refuse a qcow2 image whose header names an external data file: QEMU would open it.

    Raises:
        ImageError: ImageReferenceUnsafe.
    """
    with path.open("rb") as file:
        start = file.read(80)
    if names_data_file(start):
        raise ImageError(
            Reason.IMAGE_REFERENCE_UNSAFE, f"{path} keeps its content in another file that it names", file=str(path)
        )


def _length(path: Path) -> int:
    """Bytes of a file or block device."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.lseek(descriptor, 0, os.SEEK_END)
    finally:
        os.close(descriptor)


def _mismatch(disk: str, message: str) -> ValidationError:
    return ValidationError(Reason.CONTENT_MISMATCH, f"disk {disk}: {message}", disk=disk)
