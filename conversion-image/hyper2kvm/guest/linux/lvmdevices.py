"""LVM's lists of the disks that it may use (lvmdevices(8), lvm.conf(5)): they name disks by the old controller."""

import re

from hyper2kvm.guest.draft import Draft
from hyper2kvm.guest.fixer import Fixer, Situation

DEVICES_FILE = "/etc/lvm/devices/system.devices"

LOCAL_CONF = "/etc/lvm/lvmlocal.conf"
"""Settings that win over those of lvm.conf (lvm.conf(5))."""

LASTING = frozenset({"loop_file", "md_uuid", "crypt_uuid", "mpath_uuid", "lvmlv_uuid"})
"""IDTYPEs that do not depend on the hardware (lvmdevices(8), section Device IDs)."""

_SWITCH = re.compile(r"^(\s*use_devicesfile\s*=\s*)\d+", re.MULTILINE)
_SWITCHED_OFF = "# The list of devices names the old machine's disks.\ndevices {\n\tuse_devicesfile = 0\n}\n"
_ID_TYPE = re.compile(r"\bIDTYPE=(\S+)")


def hardware_ids(text: str) -> tuple[str, ...]:
    """The kinds of id in a devices file that another controller changes."""
    live = (line for line in text.split("\n") if not line.lstrip().startswith("#"))
    kinds = (match[1] for match in map(_ID_TYPE.search, live) if match)
    return tuple(dict.fromkeys(kind for kind in kinds if kind not in LASTING))


def switched_off(local_conf: str) -> str:
    """An lvmlocal.conf with which LVM uses no devices file: for where the file itself cannot be removed."""
    text, found = _SWITCH.subn(r"\g<1>0", local_conf)
    gap = "" if not text or text.endswith("\n") else "\n"
    return text if found else f"{text}{gap}{_SWITCHED_OFF}"


def _plan(draft: Draft, _: Situation) -> None:
    if not draft.is_file(DEVICES_FILE):
        return
    kinds = hardware_ids(draft.text(DEVICES_FILE))
    if not kinds:
        draft.note(f"{DEVICES_FILE} names no device by its hardware")
        return
    draft.remove(
        DEVICES_FILE,
        f"it lets LVM use only disks known by {' and '.join(kinds)}, which change with the controller; without it LVM "
        "looks at all disks",
    )


FIXER = Fixer("LVM devices", lambda situation: situation.options.stable_device_names, _plan)
