"""The appliance's kernel, unpacked once instead of at each start: under emulation that is a third of the start.

QEMU starts an ELF kernel by its PVH entry (Linux, Documentation/arch/x86/boot.rst and arch/x86/platform/pvh). supermin,
which builds the appliance, takes a kernel other than the distribution's from its environment (supermin(1)).
`python -m hyper2kvm.guest.appliancekernel KERNEL` unpacks a prebuilt appliance's kernel in its place.
"""

import functools
import os
import struct
import sys
from collections.abc import Mapping
from pathlib import Path

from hyper2kvm.accelerator import find_kernel
from hyper2kvm.cache import cache_folder
from hyper2kvm.guest.linux.bytesource import HeldBytes, Section
from hyper2kvm.guest.linux.compression import ERRORS, identify, unpack

_BOOT_FLAG, _MAGIC, _VERSION = 0xAA55, b"HdrS", 0x0208
"""What a bzImage has at 0x1fe and 0x202, and the protocol's version since which it tells where its payload is."""
_SECTOR = 512
_LARGEST = 512 << 20
_PVH_NOTES = tuple(struct.pack("<III4s", 4, size, 18, b"Xen\0") for size in (4, 8))
"""Heads of the ELF note XEN_ELFNOTE_PHYS32_ENTRY, for entries of either width."""
_MODULES = Path("/lib/modules")


def unpacked(image: bytes) -> bytearray | None:
    """The ELF kernel inside of a bzImage, or None where QEMU could not start it: it has no PVH entry.

    Raises:
        ValueError: it is no bzImage, or a damaged one; as any of `compression.ERRORS`.
    """
    flag, magic, version = struct.unpack_from("<H2x4sH", image, 0x1FE)
    if (flag, magic) != (_BOOT_FLAG, _MAGIC) or version < _VERSION:
        raise ValueError("no bzImage of boot protocol 2.08 or later")
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (1 + (image[0x1F1] or 4)) * _SECTOR + offset
    payload = Section(HeldBytes(image), start, length)
    kind = identify(payload, 0)
    if kind is None:
        raise ValueError("the kernel's payload is of no known compression")
    kernel = bytearray()
    for piece in unpack(kind, payload, 0):
        kernel += piece
        if len(kernel) > _LARGEST:
            raise ValueError("the kernel's payload unpacks to too much")
    startable = kernel.startswith(b"\x7fELF") and any(note in kernel for note in _PVH_NOTES)
    return kernel if startable else None


@functools.cache
def choose() -> Path | None:
    """Let the appliances of this process have an unpacked kernel; the folder to keep them in, or None as `prepare`."""
    prepared = prepare(os.environ)
    if prepared is None:
        return None
    folder, settings = prepared
    os.environ.update(settings)
    return folder


def prepare(environment: Mapping[str, str]) -> tuple[Path, dict[str, str]] | None:
    """Where supermin is to keep its appliance, and what its environment must say for it to have an unpacked kernel.

    None where the appliance is prebuilt or its kernel chosen by the user, and where there is nothing to gain: the
    distribution's own kernel does as well, more slowly.
    """
    kernel = find_kernel(environment=environment)
    if kernel is None or {"LIBGUESTFS_PATH", "SUPERMIN_KERNEL"} & environment.keys():
        return None
    version = kernel.name.removeprefix("vmlinuz-")
    if not (_MODULES / version / "modules.dep").is_file():
        return None
    try:
        folder = cache_folder() / "appliance"
        chosen = _kept(kernel, folder)
    except (*ERRORS, RuntimeError):
        return None
    if chosen is None:
        return None
    return folder, {
        "SUPERMIN_KERNEL": str(chosen),
        "SUPERMIN_KERNEL_VERSION": version,
        "SUPERMIN_MODULES": str(_MODULES / version),
    }


def _kept(kernel: Path, folder: Path) -> Path | None:
    """The unpacked form of a kernel in `folder`, where it is kept for as long as the kernel is the same."""
    told = kernel.stat()
    kept = folder / f"{kernel.name}.{told.st_size}.{told.st_mtime_ns}"
    if not kept.exists():
        image = unpacked(kernel.read_bytes())
        if image is None:
            return None
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for older in folder.glob("vmlinuz-*"):
            older.unlink(missing_ok=True)
        _write(kept, image)
    return kept


def _write(path: Path, content: bytes | bytearray) -> None:
    temporary = path.with_name(f"{os.getpid()}.unpacked")
    temporary.write_bytes(content)
    temporary.replace(path)


def main(path: Path) -> None:
    """Unpack a prebuilt appliance's kernel in its place, where QEMU can start it so."""
    image = unpacked(path.read_bytes())
    if image is not None:
        _write(path, image)
        path.chmod(0o644)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
