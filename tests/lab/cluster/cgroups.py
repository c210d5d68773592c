"""The cluster's control group: one of its name in every hierarchy (cgroup v1) or in the only one (v2)."""

import time
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_SECONDS = 10.0

_SHARES = {"cpu.shares": "4096", "cpu.weight": "400"}
"""Four times what one program of the node may claim of busy cores: pods in which a guest is emulated are not to starve."""


def hierarchies(root: Path = _ROOT) -> list[Path]:
    """Roots of the hierarchies: all mounted controllers of v1, or v2's single one."""
    if (root / "cgroup.controllers").exists():
        return [root]
    return sorted({path.parent.resolve() for path in root.glob("*/cgroup.procs")})


def create(name: str, root: Path = _ROOT) -> None:
    """Make the group; the kubelet wants it to exist before it makes the pods' groups below it."""
    for hierarchy in hierarchies(root):
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            # A group of cpuset's v1 hierarchy starts empty, and no process may enter it then (cgroup-v1/cpusets.rst).
            if hierarchy.name == "cpuset":
                (group / setting).write_text((hierarchy / setting).read_text())
        for setting, shares in _SHARES.items():
            if (group / setting).exists():
                (group / setting).write_text(shares)


def remove(name: str, root: Path = _ROOT) -> None:
    """Remove the group and those below it. A group can go only when the kernel has buried its last process."""
    for hierarchy in hierarchies(root):
        folders = [hierarchy / name, *(path for path in (hierarchy / name).rglob("*") if path.is_dir())]
        for folder in reversed(folders):
            _remove_when_empty(folder)


def _remove_when_empty(folder: Path) -> None:
    began = time.monotonic()
    while folder.exists():
        try:
            folder.rmdir()
        except OSError:
            if time.monotonic() - began > _SECONDS:
                raise
            time.sleep(0.1)


def groups(name: str, root: Path = _ROOT) -> list[Path]:
    """Where the group exists."""
    return [hierarchy / name for hierarchy in hierarchies(root) if (hierarchy / name).exists()]


def processes(name: str, pod: str, root: Path = _ROOT) -> list[int]:
    """Processes of a pod, by its uid; none when it has ended."""
    files = (file for hierarchy in hierarchies(root) for file in (hierarchy / name).rglob(f"pod{pod}/**/cgroup.procs"))
    return sorted({int(line) for file in files for line in _read(file)})


def _read(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:  # the group has gone meanwhile
        return []


def memory(name: str, root: Path = _ROOT) -> int:
    """Bytes of memory that the group's pods use."""
    for path in (root / "memory" / name / "memory.usage_in_bytes", root / name / "memory.current"):
        if path.exists():
            return int(path.read_text())
    return 0
