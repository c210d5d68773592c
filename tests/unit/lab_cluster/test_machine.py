"""What the cluster changes on the machine outside of its namespaces, tried on folders instead of /proc and /sys."""

import pytest

from lab.cluster import cgroups, kernel


@pytest.fixture
def settings(tmp_path):
    for name in (*kernel.CHANGED_BY_KUBELET, *kernel.RAISED):
        path = tmp_path / "sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("128\n")
    return tmp_path / "sys"


def test_kernel_settings_are_restored(settings, tmp_path):
    noted = tmp_path / "before.json"
    kernel.note(noted, settings)
    kernel.raise_limits(settings)
    (settings / "vm/overcommit_memory").write_text("1\n")
    assert (settings / "fs/inotify/max_user_instances").read_text() == "1024"
    kernel.restore(noted, settings)
    assert {path.read_text().strip() for path in settings.rglob("*") if path.is_file()} == {"128"}
    assert not noted.exists()


def test_a_second_start_keeps_what_the_first_one_noted(settings, tmp_path):
    noted = tmp_path / "before.json"
    kernel.note(noted, settings)
    (settings / "kernel/panic").write_text("10")
    kernel.note(noted, settings)
    kernel.restore(noted, settings)
    assert (settings / "kernel/panic").read_text() == "128"


def test_a_limit_that_is_higher_already_stays(settings):
    (settings / "fs/inotify/max_user_instances").write_text("8192")
    kernel.raise_limits(settings)
    assert (settings / "fs/inotify/max_user_instances").read_text() == "8192"


def test_restoring_without_a_note_does_nothing(settings, tmp_path):
    kernel.restore(tmp_path / "absent.json", settings)


def hierarchy(folder):
    folder.mkdir(parents=True)
    (folder / "cgroup.procs").touch()
    return folder


def test_the_group_is_made_in_every_hierarchy_of_version_1(tmp_path):
    for name in ("memory", "cpuset"):
        hierarchy(tmp_path / name)
    for setting in ("cpuset.cpus", "cpuset.mems"):
        (tmp_path / "cpuset" / setting).write_text("0-1")
    cgroups.create("hyper2kvm-run", tmp_path)
    assert cgroups.groups("hyper2kvm-run", tmp_path) == [
        tmp_path / "cpuset/hyper2kvm-run",
        tmp_path / "memory/hyper2kvm-run",
    ]
    assert (tmp_path / "cpuset/hyper2kvm-run/cpuset.cpus").read_text() == "0-1"


def test_the_group_is_made_once_in_version_2(tmp_path):
    (tmp_path / "cgroup.controllers").write_text("cpu memory")
    hierarchy(tmp_path / "system.slice")
    cgroups.create("hyper2kvm-run", tmp_path)
    assert cgroups.groups("hyper2kvm-run", tmp_path) == [tmp_path / "hyper2kvm-run"]


def test_the_group_goes_with_all_below_it(tmp_path):
    hierarchy(tmp_path / "memory")
    (tmp_path / "memory/hyper2kvm-run/kubepods/burstable/pod1").mkdir(parents=True)
    cgroups.remove("hyper2kvm-run", tmp_path)
    assert cgroups.groups("hyper2kvm-run", tmp_path) == []
    cgroups.remove("hyper2kvm-run", tmp_path)


def test_processes_of_a_pod_are_found_by_its_uid_in_every_hierarchy(tmp_path):
    for name in ("memory", "pids"):
        hierarchy(tmp_path / name)
        for pod, process in (("1a", 11), ("2b", 22)):
            group = tmp_path / name / f"hyper2kvm-run/kubepods/burstable/pod{pod}/container"
            group.mkdir(parents=True)
            (group / "cgroup.procs").write_text(f"{process}\n{process + 1}\n")
    assert cgroups.processes("hyper2kvm-run", "2b", tmp_path) == [22, 23]
    assert cgroups.processes("hyper2kvm-run", "3c", tmp_path) == []
