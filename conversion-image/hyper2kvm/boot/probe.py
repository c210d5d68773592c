"""The probe: a unit that tells, from inside the guest, what came up. It is put into throw-away overlays only.

It is wanted by multi-user.target, and by emergency.target and rescue.target too, so that a guest that ends there says
so at once. It has no default dependencies: sysinit.target conflicts with emergency.target.
"""

import re
from collections.abc import Iterator
from importlib.resources import files

from hyper2kvm.guest.edits import Edit, EditKind
from hyper2kvm.guest.files import GuestFiles

UNIT = "h2k-boot-probe.service"
SCRIPT = "/etc/h2k-boot-probe.sh"
TARGETS = ("multi-user", "rescue", "emergency")

_UNITS = "/etc/systemd/system"
_REASON = ("The boot check asks the guest what came up.",)
_SELINUX = "/etc/selinux/config"
_ENFORCING = re.compile(rb"^[ \t]*SELINUX[ \t]*=[ \t]*enforcing[ \t]*$", re.IGNORECASE | re.MULTILINE)
_PERMISSIVE = ("Files that the boot check adds have no SELinux label, and an enforcing guest would not run them.",)

# systemd-system.conf(5). Before systemd 252 the first one is that of devices too, and the second is not known.
_PATIENCE = Edit(
    EditKind.WRITE,
    "/etc/systemd/system.conf.d/zz-h2k-boot-check.conf",
    ("Emulated, a sound guest may miss the 90 seconds that systemd gives devices and units.",),
    content=b"[Manager]\nDefaultTimeoutStartSec=300s\nDefaultDeviceTimeoutSec=300s\n",
)

_UNIT_TEXT = """\
[Unit]
Description=Report of the boot check
DefaultDependencies=no
After={after}
Conflicts=shutdown.target
Before=shutdown.target

[Service]
Type=simple
ExecStart=/bin/sh {script} {token}
StandardInput=null
StandardOutput=null
StandardError=null
"""


def probe_edits(guest: GuestFiles, token: str, *, emulated: bool) -> tuple[Edit, ...]:
    """What puts the probe into a guest that systemd starts.

    A guest with enforcing SELinux is made permissive for the check: see `permissive`.

    Args:
        guest: the guest's files.
        token: letters and digits; marks the reports of this start.
        emulated: whether it will be slower than any real machine; systemd is given more patience then.
    """
    after = " ".join(f"{target}.target" for target in TARGETS)
    unit = _UNIT_TEXT.format(after=after, script=SCRIPT, token=token)
    script = files("hyper2kvm.boot").joinpath("probe.sh").read_bytes()
    return (
        Edit(EditKind.WRITE, SCRIPT, _REASON, content=script, mode=0o755),
        Edit(EditKind.WRITE, f"{_UNITS}/{UNIT}", _REASON, content=unit.encode()),
        *(
            Edit(EditKind.LINK, f"{_UNITS}/{target}.target.wants/{UNIT}", _REASON, target=f"../{UNIT}")
            for target in TARGETS
        ),
        *([_PATIENCE] if emulated else []),
        *_selinux(guest),
    )


def permissive(edits: tuple[Edit, ...]) -> bool:
    """Whether the edits take an enforcing guest's SELinux out of the check."""
    return any(edit.path == _SELINUX for edit in edits)


def _selinux(guest: GuestFiles) -> Iterator[Edit]:
    if guest.stat(_SELINUX) is None:
        return
    config = guest.read(_SELINUX)
    changed = _ENFORCING.sub(b"SELINUX=permissive", config)
    if changed != config:
        yield Edit(EditKind.WRITE, _SELINUX, _PERMISSIVE, content=changed)
