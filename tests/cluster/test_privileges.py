"""Pods on a real container runtime: what they may do, and which devices they reach, while they work."""

import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from lab.cluster import namespace
from lab.cluster.cluster import Cluster
from lab.scenario.ending import finished_cleanly
from lab.scenario.moments import reach
from lab.scenario.objects import Json, migration
from lab.scenario.project import Project

pytestmark = pytest.mark.cluster

USER = "107"
HARMLESS = {"null", "zero", "full", "random", "urandom", "tty", "ptmx"}
"""The devices of every container (OCI runtime specification, default devices)."""


def process(cluster: Cluster, pod: str) -> Path:
    """/proc of the h2k process that works in a pod, as the host sees it."""
    first = namespace.find(cluster.layout)
    for folder in (Path(f"/proc/{pid}") for pid in namespace.members(first)):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            arguments = folder.joinpath("cmdline").read_bytes().split(b"\0")
            environment = folder.joinpath("environ").read_bytes().split(b"\0")
            if b"run" in arguments and f"HOSTNAME={pod}".encode() in environment:
                return folder
    raise AssertionError(f"no h2k runs in {pod}")


def test_a_privileged_migration_works_as_an_ordinary_user_and_reaches_no_device_of_the_node(
    operator, project, bootable_disk
):
    security, folder = at_work(project, bootable_disk, "Privileged")
    assert security["privileged"] is True
    has_no_rights(folder)
    assert opened(folder / "root/dev") <= {*HARMLESS, "kvm"}
    project.wait_phase("tiny", "Succeeded")
    assert project.image("tiny-disk0").stat().st_uid == int(USER)
    finished_cleanly(project, "tiny")


def test_a_migration_without_kvm_works_without_privilege_and_reaches_no_device(operator, project, bootable_disk):
    security, folder = at_work(project, bootable_disk, "None")
    is_confined(security, folder)
    assert opened(folder / "root/dev") <= HARMLESS
    finished_cleanly(project, "tiny")


def options(folder: Path, place: str) -> list[str]:
    """How a process sees a place mounted (proc(5), mountinfo)."""
    mounts = [line.split(" ") for line in (folder / "mountinfo").read_text().splitlines()]
    (found,) = (fields[5] for fields in mounts if fields[4] == place)
    return found.split(",")


@pytest.mark.parametrize("kvm", ["DevicePlugin", "Auto"])
def test_a_device_plugin_gives_kvm_to_a_pod_without_privilege(operator, kubevirt_cluster, project, bootable_disk, kvm):
    """KubeVirt's, on a node with /dev/kvm. It is what is chosen of itself where there is one."""
    security, folder = at_work(project, bootable_disk, kvm)
    is_confined(security, folder)
    devices = opened(folder / "root/dev")
    assert "kvm" in devices
    assert devices <= {*HARMLESS, "kvm"}
    finished_cleanly(project, "tiny")


def at_work(project: Project, disk: Path, kvm: str) -> tuple[Json, Path]:
    """The security context of a migration's container, and /proc of its process, while it is in Inspect."""
    project.source({"tiny.qcow2": disk})
    project.apply(migration("tiny", "tiny.qcow2", job={"kvm": kvm}))
    pod = reach(project, "tiny", "Inspect")
    container = project.get("pod", pod)["spec"]["containers"][0]
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    return container["securityContext"], process(project.cluster, pod)


def is_confined(security: Json, folder: Path) -> None:
    """A process has no privilege, and a filter of system calls (proc(5), Seccomp)."""
    assert "privileged" not in security
    has_no_rights(folder)
    assert facts(folder)["Seccomp"] == "2"


def has_no_rights(folder: Path) -> None:
    """A process is an ordinary user's, without capabilities, a token or a way to write to its image."""
    status = facts(folder)
    assert status["Uid"].split() == status["Gid"].split() == [USER] * 4
    assert {status[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    assert not (folder / "root/var/run/secrets").exists()
    assert "ro" in options(folder, "/")


def facts(folder: Path) -> dict[str, str]:
    """What the kernel says of a process (proc(5), status)."""
    return dict(line.split(":\t", 1) for line in (folder / "status").read_text().splitlines() if ":\t" in line)


def opened(folder: Path) -> set[str]:
    """The device nodes in a container's /dev that have any permission left."""
    found = set()
    for parent, _, names in os.walk(folder):
        for name in names:
            mode = Path(parent, name).lstat().st_mode
            if (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)) and stat.S_IMODE(mode):
                found.add(name)
    return found
