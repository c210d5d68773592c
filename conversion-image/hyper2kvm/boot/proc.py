"""Linux' own texts about addresses, mounts and block devices: files of proc(5) and sysfs(5), sent by a guest.

A guest may send anything: what has not the files' form is left out, and no text leads to more work than its length.
"""

import ipaddress
import re
import struct
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

_MAX_NAME = 256


@dataclass(frozen=True)
class BlockDevice:
    """A block device of the running guest.

    Attributes:
        name: the kernel's name, such as `dm-0`.
        mapped: the device mapper's name, or `-`.
        below: names of the devices that it lies on.
    """

    name: str
    mapped: str
    below: tuple[str, ...]


@dataclass(frozen=True)
class MountLine:
    """A line of /proc/self/mountinfo.

    Attributes:
        number: device number, such as `254:1`; btrfs has none of its own (`0:25`).
        path: mount point.
        type: type of the file system.
        device: its device as it was named to mount(8).
    """

    number: str
    path: str
    type: str
    device: str


def clean(text: str) -> str:
    """A name without control characters, cut to a sane length."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)[:_MAX_NAME]


def addresses4(local: Iterable[str], routes: Iterable[str]) -> dict[str, list[str]]:
    """IPv4 addresses with prefix length, by interface; under "" those that no route tells the interface of.

    Args:
        local: the addresses that /proc/net/fib_trie calls local.
        routes: lines of /proc/net/route. An address belongs to the interface that its network is routed to.
    """
    networks = [route for line in routes if (route := _route(line)) is not None]
    found: defaultdict[str, list[str]] = defaultdict(list)
    for text in dict.fromkeys(local):
        address = _address(text.strip())
        if address is None or address.is_loopback:
            continue
        length, name = max(((net.prefixlen, name) for name, net in networks if address in net), default=(32, ""))
        found[name].append(f"{address}/{length}")
    return found


def addresses6(lines: Iterable[str]) -> dict[str, list[str]]:
    """IPv6 addresses with prefix length, by interface.

    Args:
        lines: /proc/net/if_inet6: address, index, prefix length, scope and flags in hexadecimal, name.
    """
    found: defaultdict[str, list[str]] = defaultdict(list)
    for line in lines:
        matched = re.fullmatch(r"([0-9a-f]{32}) [0-9a-f]+ ([0-9a-f]{1,2}) [0-9a-f]+ [0-9a-f]+ +(\S+)", line.strip())
        if matched and int(matched[2], 16) <= 128:
            address = ipaddress.IPv6Address(bytes.fromhex(matched[1]))
            found[matched[3]].append(f"{address}/{int(matched[2], 16)}")
    return found


def mounts(lines: Iterable[str]) -> tuple[MountLine, ...]:
    """The mounts of /proc/self/mountinfo, in their order."""
    return tuple(mount for line in lines if (mount := _mount(line)) is not None)


def block_devices(lines: Iterable[str]) -> dict[str, BlockDevice]:
    """Block devices by each of their names: the kernel's, the device mapper's, and the device number.

    Args:
        lines: kernel's name, device number, device mapper's name or `-`, names of the devices below.
    """
    made: dict[str, BlockDevice] = {}
    for line in lines:
        fields = [clean(field) for field in line.split()]
        if len(fields) < 3:
            continue
        name, number, mapped, *below = fields
        block = BlockDevice(name, mapped, tuple(below))
        made |= {name: block, number: block} | ({mapped: block} if mapped != "-" else {})
    return made


def with_names(mounted: Iterable[MountLine], blocks: Mapping[str, BlockDevice]) -> tuple[MountLine, ...]:
    """Mounts with the device mapper's names: btrfs calls a device as whoever scanned it last did, such as `/dev/dm-0`."""
    return tuple(replace(mount, device=_mapped(mount.device, blocks)) for mount in mounted)


def _mapped(device: str, blocks: Mapping[str, BlockDevice]) -> str:
    block = blocks.get(device.removeprefix("/dev/"))
    return f"/dev/mapper/{block.mapped}" if block is not None and block.mapped != "-" else device


def root_device(mounted: Iterable[MountLine], blocks: Mapping[str, BlockDevice]) -> tuple[str, tuple[str, ...]]:
    """Device of the root file system, and the partitions or disks at the bottom of it."""
    root = next((mount for mount in reversed(tuple(mounted)) if mount.path == "/"), None)
    if root is None:
        return "unknown", ()
    block = blocks.get(root.device.rpartition("/")[2]) or blocks.get(root.number)
    if block is None:
        return root.device, ()
    # Without an initramfs the kernel calls its root /dev/root, and no such file is made.
    name = f"/dev/{block.name}" if root.device == "/dev/root" else root.device
    return name, _bottom(block, blocks)


def _bottom(block: BlockDevice, blocks: Mapping[str, BlockDevice]) -> tuple[str, ...]:
    seen, waiting, bottom = {block.name}, [block], set()
    while waiting:
        here = waiting.pop()
        below = [blocks[name] for name in here.below if name in blocks]
        if not below:
            bottom.add(f"/dev/{here.name}")
        fresh = [under for under in below if under.name not in seen]
        seen |= {under.name for under in fresh}
        waiting += fresh
    return tuple(sorted(bottom))


def _route(line: str) -> tuple[str, ipaddress.IPv4Network] | None:
    """Name and network of a line of /proc/net/route: destination, gateway and mask (2nd, 3rd, 8th) are little-endian."""
    fields = line.split()
    if len(fields) < 8 or not all(re.fullmatch(r"[0-9A-Fa-f]{8}", fields[place]) for place in (1, 2, 7)):
        return None
    destination, gateway, mask = (struct.pack("<I", int(fields[place], 16)) for place in (1, 2, 7))
    if any(gateway) or not any(mask):
        return None
    try:
        network = f"{ipaddress.IPv4Address(destination)}/{ipaddress.IPv4Address(mask)}"
        return fields[0], ipaddress.IPv4Network(network, strict=False)
    except ValueError:
        return None


def _address(text: str) -> ipaddress.IPv4Address | None:
    try:
        return ipaddress.IPv4Address(text)
    except ValueError:
        return None


def _mount(line: str) -> MountLine | None:
    before, separator, after = line.partition(" - ")
    left, right = before.split(" "), after.split(" ")
    if not separator or len(left) < 6 or len(right) < 2:
        return None
    return MountLine(clean(left[2]), _unescaped(left[4]), clean(right[0]), _unescaped(right[1]))


def _unescaped(text: str) -> str:
    """A name in which the kernel wrote blanks and backslashes in octal."""
    return clean(re.sub(r"\\([0-3][0-7]{2})", lambda found: chr(int(found[1], 8)), text))
