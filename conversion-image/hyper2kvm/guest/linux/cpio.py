"""The newc cpio format, in which the kernel takes its initramfs: read as a stream, written whole.

Source of the format: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
"""

import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from hyper2kvm.guest.linux.stream import ByteStream

MAGICS = (b"070701", b"070702")
"""Magic numbers of newc, without and with checksums."""

MAX_MEMBERS = 1 << 18
"""Members that an archive may have."""

_TRAILER = "TRAILER!!!"
_HEADER = 110
_MAX_NAME = 4096
_MAX_LINK = 4096
_HEXADECIMAL = re.compile(rb"[0-9A-Fa-f]{8}")


@dataclass(frozen=True)
class Member:
    """A file, folder, link or device node of an archive.

    Attributes:
        path: its path without a leading slash, such as `conf/modules`.
        mode: type and permission bits, as stat(2) has them.
        content: a link's target; a file's bytes where they were asked for, else empty.
        size: bytes of the content in the archive.
    """

    path: str
    mode: int
    content: bytes = field(default=b"", repr=False)
    size: int = 0


def read(stream: ByteStream, keep: Callable[[str, int], bool]) -> Iterator[Member]:
    """The members of the archive that begins at the stream's position; leaves the stream behind its trailer.

    Args:
        stream: the bytes.
        keep: given a file's path and size, whether its content is wanted; links' targets always are.

    Raises:
        ValueError: the archive is damaged or beyond the limits.
    """
    for _ in range(MAX_MEMBERS):
        mode, size, name = _header(stream)
        if name == _TRAILER:
            return
        path = _plain(name)
        wanted = size <= _MAX_LINK if stat.S_ISLNK(mode) else stat.S_ISREG(mode) and keep(path, size)
        content = stream.read(size) if wanted else stream.skip(size)
        stream.skip(-size % 4)
        yield Member(path, mode, content, size)
    raise ValueError(f"the archive has more than {MAX_MEMBERS} members")


def write(members: Iterable[Member]) -> bytes:
    """An archive of the members, in their order, owned by root, without times: the same input gives the same bytes.

    Folders must stand before what they hold: the kernel makes none of itself.
    """
    parts = [_entry(number, member) for number, member in enumerate(members, 1)]
    return b"".join([*parts, _entry(0, Member(_TRAILER, 0))])


def _entry(number: int, member: Member) -> bytes:
    name = member.path.encode("utf-8", "surrogateescape") + b"\0"
    links = 2 if stat.S_ISDIR(member.mode) else 1
    fields = (number, member.mode, 0, 0, links, 0, len(member.content), 0, 0, 0, 0, len(name), 0)
    head = MAGICS[0] + b"".join(b"%08x" % value for value in fields) + name
    return head + b"\0" * (-len(head) % 4) + member.content + b"\0" * (-len(member.content) % 4)


def _header(stream: ByteStream) -> tuple[int, int, str]:
    head = stream.read(_HEADER)
    if not head.startswith(MAGICS):
        raise ValueError("a cpio header is missing where one must be")
    mode, size, name_size = (_number(head, index) for index in (1, 6, 11))
    if not 0 < name_size <= _MAX_NAME:
        raise ValueError(f"a name of {name_size} bytes in the archive")
    name = stream.read(name_size).split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
    stream.skip(-(_HEADER + name_size) % 4)
    return mode, size, name


def _number(head: bytes, index: int) -> int:
    digits = head[6 + 8 * index : 14 + 8 * index]
    if not _HEXADECIMAL.fullmatch(digits):
        raise ValueError("a cpio header has a field that is no number")
    return int(digits, 16)


def _plain(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in {"", "."})
