"""The graft: an archive that is appended to an initramfs and adds drivers to it, without running the guest's tools.

The kernel unpacks every cpio archive that it finds in the image, one after the other, and a later file replaces an
earlier one of the same path (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).
"""

import gzip
import posixpath
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hyper2kvm.guest.files import GuestFiles
from hyper2kvm.guest.linux import cpio, moduleindex
from hyper2kvm.guest.linux.bytesource import HeldBytes
from hyper2kvm.guest.linux.compression import Compression, lz4_legacy, unpack
from hyper2kvm.guest.linux.cpio import Member
from hyper2kvm.guest.linux.initramfs import Initramfs
from hyper2kvm.guest.linux.modules import ModuleTree, module_name

MAX_MODULE = 64 << 20
"""Bytes that a module may have when unpacked."""

INDEXES = (
    "modules.builtin",
    "modules.builtin.bin",
    "modules.builtin.alias.bin",
    "modules.builtin.modinfo",
    "modules.devname",
    "modules.softdep",
)
"""Indexes that modprobe reads and that name modules, not files: taken as they are."""

_MODULE_COMPRESSION = {".gz": Compression.GZIP, ".xz": Compression.XZ, ".zst": Compression.ZSTD}


@dataclass(frozen=True)
class Graft:
    """What is appended.

    Attributes:
        content: the bytes, padding first.
        modules: names of the modules in it.
        files: paths of its other files.
    """

    content: bytes = field(repr=False)
    modules: tuple[str, ...]
    files: tuple[str, ...]


def graft(
    image: Initramfs,
    version: str,
    drivers: Sequence[Member],
    files: Mapping[str, bytes],
    *,
    compress: bool,
) -> Graft:
    """The bytes to append to an initramfs.

    Args:
        image: the initramfs.
        version: the kernel's release.
        drivers: what `driver_files` made; empty when the initramfs has its drivers.
        files: other files to add or replace, by path without a leading slash.
        compress: whether the kernel takes gzip.
    """
    others = [Member(image.resolve(path), stat.S_IFREG | 0o644, content) for path, content in files.items()]
    members = [*drivers, *others]
    archive = cpio.write([*_folders(image, members), *members])
    folder = image.module_folder(version)
    added = [member.path for member in drivers if posixpath.dirname(member.path) != folder]
    return Graft(
        content=_encoded(image, archive, compress=compress),
        modules=tuple(module_name(path) for path in added),
        files=tuple(member.path for member in others),
    )


def driver_files(
    files: GuestFiles, image: Initramfs, version: str, tree: ModuleTree, names: Iterable[str]
) -> list[Member]:
    """The modules that an initramfs lacks, with what they depend on, and the indexes that fit all of its modules.

    Modules are unpacked: every kernel and every modprobe takes them so, and the archive is compressed as a whole.

    Raises:
        compression.ERRORS: a module's file is damaged.
    """
    held = image.modules(version)
    missing = {name: tree.paths[name] for name in tree.closure(names) if name not in held}
    folder = image.module_folder(version)
    contents = {_bare(path): _unpacked(files.read(f"{tree.folder}/{path}"), path) for path in missing.values()}
    contents |= _indexes(files, tree, held | {name: _bare(path) for name, path in missing.items()})
    return [Member(f"{folder}/{path}", stat.S_IFREG | 0o644, content) for path, content in contents.items()]


def _indexes(files: GuestFiles, tree: ModuleTree, present: Mapping[str, str]) -> dict[str, bytes]:
    lines = moduleindex.dependencies(present, tree)
    made = {"modules.dep": moduleindex.text(lines), "modules.dep.bin": moduleindex.binary(lines.items())}
    if files.stat(f"{tree.folder}/modules.alias") is not None:
        rows = moduleindex.aliases(
            files.read(f"{tree.folder}/modules.alias").decode("utf-8", "surrogateescape"), present
        )
        made["modules.alias"] = moduleindex.alias_text(rows)
        made["modules.alias.bin"] = moduleindex.binary((moduleindex.normalised(key), name) for key, name in rows)
    copied = [index for index in INDEXES if files.stat(f"{tree.folder}/{index}") is not None]
    return made | {index: files.read(f"{tree.folder}/{index}") for index in copied}


def _folders(image: Initramfs, members: Iterable[Member]) -> list[Member]:
    """The folders that the archive must make. One that is there already is left out: it may be a link."""
    needed = {parent for member in members for parent in _parents(member.path)}
    return [Member(path, stat.S_IFDIR | 0o755) for path in sorted(needed) if path not in image.modes]


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _encoded(image: Initramfs, archive: bytes, *, compress: bool) -> bytes:
    """The archive in a form that the kernel finds behind the image.

    Behind lz4 no padding may stand: kernels before 5.11 take it for a block and give up, while another lz4 frame is
    read on as part of the same stream (Linux, lib/decompress_unlz4.c). Elsewhere archives begin at multiples of 4.
    """
    if image.last is Compression.LZ4:
        return lz4_legacy(archive)
    padding = b"\0" * (-image.size % 4)
    return padding + (gzip.compress(archive, mtime=0) if compress else archive)


def _bare(path: str) -> str:
    return path[: path.rindex(".ko")] + ".ko"


def _unpacked(content: bytes, path: str) -> bytes:
    kind = _MODULE_COMPRESSION.get(posixpath.splitext(path)[1])
    if kind is None:
        return content
    module = bytearray()
    for piece in unpack(kind, HeldBytes(content), 0):
        module += piece
        if len(module) > MAX_MODULE:
            raise ValueError(f"{path} unpacks to more than {MAX_MODULE >> 20} MiB")
    return bytes(module)
