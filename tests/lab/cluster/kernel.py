"""Kernel settings of the whole machine: those that the kubelet changes at its start, and those that many pods need.

They are no namespace's, so they are noted before and restored afterwards.
"""

import json
from pathlib import Path

_ROOT = Path("/proc/sys")

CHANGED_BY_KUBELET = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
"""k8s.io/kubernetes pkg/kubelet/cm, setupKernelTunables."""

RAISED = {"fs/inotify/max_user_instances": 1024, "fs/inotify/max_user_watches": 524288}
"""Every containerd shim and every watch of a mounted Secret holds one."""


def note(path: Path, root: Path = _ROOT) -> None:
    """Write today's values to a file, unless an earlier start has."""
    if path.exists():
        return
    values = {name: (root / name).read_text().strip() for name in (*CHANGED_BY_KUBELET, *RAISED)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=1))


def raise_limits(root: Path = _ROOT) -> None:
    """Raise what is lower than many pods need."""
    for name, wanted in RAISED.items():
        if int((root / name).read_text()) < wanted:
            (root / name).write_text(str(wanted))


def restore(path: Path, root: Path = _ROOT) -> None:
    """Set back what differs from the noted values, and forget them."""
    if not path.exists():
        return
    for name, value in json.loads(path.read_text()).items():
        if name in (*CHANGED_BY_KUBELET, *RAISED) and (root / name).read_text().strip() != value:
            (root / name).write_text(value)
    path.unlink()
