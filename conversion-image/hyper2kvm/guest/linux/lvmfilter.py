"""LVM's filters (lvm.conf(5), devices/filter and devices/global_filter) that let in the old controller's names only."""

import re
from collections.abc import Mapping

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.fixer import Fixer, Situation
from hyper2kvm_api.options import TargetBus

PATHS = ("/etc/lvm/lvm.conf", "/etc/lvm/lvmlocal.conf")

NAMES: Mapping[TargetBus, str] = {TargetBus.VIRTIO: "/dev/vd", TargetBus.SCSI: "/dev/sd", TargetBus.SATA: "/dev/sd"}
"""What the kernel's names of disks begin with, by bus."""

_FILTER = re.compile(r"^(?P<before>[ \t]*(?:global_)?filter[ \t]*=[ \t]*\[)(?P<elements>[^\]]*)\]", re.MULTILINE)
_ELEMENT = re.compile(r"\"(?P<action>[ar])(?P<mark>.)(?P<pattern>[^\"]*)(?P=mark)\"")
_EVERYTHING = frozenset({".*", ".*/", ".", "", "^.*", "^/.*", "^/dev/.*", "/dev/.*", ".*$", "^.*$"})


def with_accepted(text: str, prefix: str) -> str:
    """The text with filters that accept devices whose names begin so.

    A filter takes the first pattern that matches (lvm.conf(5)): one that lets nothing in which is not named gets the
    prefix as its first element. Patterns are not evaluated: they are the guest's own regular expressions.
    """
    return _FILTER.sub(lambda match: _opened(match, prefix), text)


def _opened(match: re.Match[str], prefix: str) -> str:
    for element in _ELEMENT.finditer(match["elements"]):
        if element["action"] == "a" and (prefix in element["pattern"] or element["pattern"] in _EVERYTHING):
            return match[0]
        if element["action"] == "r" and element["pattern"] in _EVERYTHING:
            return f'{match["before"]} "a|^{prefix}|",{match["elements"]}]'
    return match[0]


def _plan(draft: Draft, situation: Situation) -> None:
    volumes = {device.disk for device in situation.guest.devices if device.type == "LVM2_member"}
    prefixes = dict.fromkeys(NAMES[disk.bus] for disk in situation.disks if disk.id in volumes)
    for path in PATHS:
        for prefix in prefixes:
            if draft.is_file(path):
                reason = f"LVM's filter lets in disks by their old names only; the new ones begin with {prefix}"
                text = with_accepted(draft.text(path), prefix)
                draft.write(path, text, reason)


FIXER = Fixer("LVM filter", lambda situation: situation.options.stable_device_names, _plan)
