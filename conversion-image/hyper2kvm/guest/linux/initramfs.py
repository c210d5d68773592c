"""Reading an initramfs: which modules it holds, how it is laid out, what made it, and its small configuration files."""

import posixpath
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field

from hyper2kvm.guest.linux import cpio
from hyper2kvm.guest.linux.bytesource import ByteSource
from hyper2kvm.guest.linux.compression import ERRORS, Compression, identify, unpack
from hyper2kvm.guest.linux.modules import is_module, module_name
from hyper2kvm.guest.linux.stream import ByteStream
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.reasons import Reason

_CONFIGURATION = re.compile(r"(conf|etc|cryptroot)/.+")
_MAX_FILE = 256 << 10
_MAX_FILES = 16 << 20
_MAX_LINKS = 40
_ZEROS = 1 << 16
_MODULE_FOLDERS = ("usr/lib/modules", "lib/modules")


@dataclass(frozen=True)
class Initramfs:
    """What an initramfs holds, its archives laid over one another as the kernel does it.

    Attributes:
        modes: mode bits by path; paths have no leading slash.
        links: targets of symbolic links by path.
        files: contents of small files under conf/, etc/ and cryptroot/, by path.
        last: compression of the last part: what can be appended depends on it.
        size: bytes of the image.
    """

    modes: Mapping[str, int] = field(repr=False)
    links: Mapping[str, str] = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)
    last: Compression
    size: int

    @property
    def generator(self) -> str | None:
        """`initramfs-tools`, `dracut`, or None when it shows neither's files."""
        if "conf/initramfs.conf" in self.modes or "scripts/functions" in self.modes:
            return "initramfs-tools"
        if "etc/initrd-release" in self.modes or self.resolve("lib/dracut") in self.modes:
            return "dracut"
        return "dracut" if "usr/lib/dracut" in self.modes else None

    def module_folder(self, version: str) -> str:
        """The folder of a kernel's modules; where it would stand when there is none."""
        held = (f"{folder}/{version}" for folder in _MODULE_FOLDERS)
        return next((folder for folder in held if folder in self.modes), self.resolve(f"lib/modules/{version}"))

    def modules(self, version: str) -> dict[str, str]:
        """The modules of a kernel: path below module_folder by name."""
        folder = self.module_folder(version) + "/"
        below = (path.removeprefix(folder) for path in self.modes if path.startswith(folder))
        return {module_name(path): path for path in below if is_module(path)}

    def resolve(self, path: str) -> str:
        """The path with the archive's links in it followed, without a leading slash."""
        done, rest, followed = "", path.split("/"), 0
        while rest:
            part = rest.pop(0)
            if part in {"", "."}:
                continue
            here = posixpath.dirname(done) if part == ".." else posixpath.join(done, part)
            target = self.links.get(here)
            if target is None or followed >= _MAX_LINKS:
                done = here
                continue
            followed += 1
            done = "" if target.startswith("/") else done
            rest = target.split("/") + rest
        return done


def read(image: ByteSource, path: str) -> Initramfs:
    """Read an image: uncompressed archives (early microcode) and compressed ones, one behind the other.

    Args:
        image: the file, which is read piece by piece.
        path: its path in the guest, for messages.

    Raises:
        GuestError: InitramfsUnsupported: it is damaged, or of a form that the kernel itself would not take.
    """
    content = _Content()
    at, last = _skip_zeros(image, 0), None
    try:
        while at < image.size:
            last = identify(image, at)
            if last is None:
                raise ValueError(f"byte {at} begins neither a cpio archive nor a compression that kernels know")
            at = _skip_zeros(image, _read_part(image, at, last, content))
    except ERRORS as error:
        raise GuestError(Reason.INITRAMFS_UNSUPPORTED, f"{path} cannot be read: {error}", file=path) from error
    if last is None:
        raise GuestError(Reason.INITRAMFS_UNSUPPORTED, f"{path} is empty", file=path)
    return Initramfs(content.modes, content.links, content.files, last, image.size)


class _Content:
    """What the archives leave behind; a later member replaces an earlier one of the same path."""

    def __init__(self) -> None:
        self.modes: dict[str, int] = {}
        self.links: dict[str, str] = {}
        self.files: dict[str, bytes] = {}
        self._kept = 0

    def wanted(self, path: str, size: int) -> bool:
        """Whether a file's content is kept."""
        return size <= _MAX_FILE and self._kept + size <= _MAX_FILES and bool(_CONFIGURATION.match(path))

    def add(self, member: cpio.Member) -> None:
        """Take a member in."""
        self.modes[member.path] = member.mode
        self.links.pop(member.path, None)
        if stat.S_ISLNK(member.mode):
            self.links[member.path] = member.content.decode("utf-8", "surrogateescape")
        elif stat.S_ISREG(member.mode) and len(member.content) == member.size:
            self.files[member.path] = member.content
            self._kept += member.size
        if len(self.modes) > cpio.MAX_MEMBERS:
            raise ValueError(f"it holds more than {cpio.MAX_MEMBERS} paths")


def _read_part(image: ByteSource, start: int, kind: Compression, content: _Content) -> int:
    stream = ByteStream(unpack(kind, image, start))
    if kind is Compression.PLAIN:
        _read_archive(stream, content)
        return start + stream.position
    while not stream.finished:
        _read_archive(stream, content)
        stream.skip_zeros()
    return stream.end or image.size


def _read_archive(stream: ByteStream, content: _Content) -> None:
    for member in cpio.read(stream, content.wanted):
        content.add(member)


def _skip_zeros(image: ByteSource, at: int) -> int:
    while piece := image.read(at, _ZEROS):
        rest = piece.lstrip(b"\0")
        at += len(piece) - len(rest)
        if rest:
            break
    return at
