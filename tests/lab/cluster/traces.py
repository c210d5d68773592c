"""What a cluster leaves on the machine, and its removal. Works from names alone, whatever was killed before."""

import shutil
import time
from pathlib import Path

from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from lab.cluster import cgroups, kernel, namespace, network
from lab.cluster.layout import Layout
from lab.cluster.volumes import detach_all, devices_of

_SECONDS = 30.0


def remove(layout: Layout) -> None:
    """End the cluster and remove every trace of it. Caches of programs and images stay.

    Raises:
        HostError: ProgramTimedOut when something does not go away.
    """
    namespace.end(layout)
    network.disconnect(layout)
    detach_all(layout.volumes)
    cgroups.remove(layout.cgroup)
    kernel.restore(layout.before)
    _remove_folder(layout.folder)
    left = remaining(layout)
    if left:
        raise HostError(
            Reason.PROGRAM_TIMED_OUT, f"of the cluster there remain: {', '.join(left)}", hint="Run `down` again."
        )


def remaining(layout: Layout) -> list[str]:
    """Traces of the cluster, each named; empty when there are none."""
    pid = namespace.find(layout)
    images = sorted(layout.volumes.glob("*.img"))
    return [
        *([f"process {pid}"] if pid else []),
        *([f"link {layout.link}"] if network.connected(layout) else []),
        *(f"mount {point}" for point in mounts_below(layout.folder)),
        *(f"device {device}" for image in images for device in devices_of(image)),
        *(f"control group {group}" for group in cgroups.groups(layout.cgroup)),
        *(str(path) for path in (layout.folder, layout.before) if path.exists()),
    ]


def mounts_below(folder: Path) -> list[str]:
    """Mount points of the host's namespace below a folder (proc_pid_mountinfo(5), field 5)."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in points if point.startswith(f"{folder}/")]


def _remove_folder(folder: Path) -> None:
    """Remove a folder that mounts of a dying namespace may still hold for a moment."""
    began = time.monotonic()
    while folder.exists():
        try:
            shutil.rmtree(folder)
        except OSError:
            if time.monotonic() - began > _SECONDS:
                raise
            time.sleep(0.2)
