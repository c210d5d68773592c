"""Root's rights are given up: by real processes of root's, in a mount namespace with a /dev as a runtime makes it."""

import json
import subprocess
import sys

import pytest

from hyper2kvm.privileges import DEVICES_VARIABLE, USER_VARIABLE

USER = 107
NODES = "mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/urandom c 1 9; mkdir /dev/mapper /dev/hyper2kvm; "
NODES += "mknod -m 600 /dev/kvm c 10 232; mknod -m 666 /dev/sda b 8 0; mknod -m 666 /dev/mapper/root b 253 0; "
NODES += "mknod -m 660 /dev/hyper2kvm/web01-disk0 b 8 16"
PRIVATE = f"mount -t tmpfs none /dev; {NODES}"
"""What containerd and CRI-O make: a tmpfs with nodes of its own, those of a privileged container among them."""

TELL = """
import json, os, pathlib
from hyper2kvm.privileges import drop

drop()
status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
modes = {
    os.path.join(folder, name): oct(os.lstat(os.path.join(folder, name)).st_mode & 0o777)
    for folder, _, names in os.walk("/dev") for name in names
}
print(json.dumps({
    "status": {name: value.split() for name, value in status.items()},
    "modes": modes,
    "reachable": sorted(path for path in modes if os.access(path, os.R_OK | os.W_OK)),
    "descriptors": len(os.listdir("/proc/self/fd")),
}))
"""


def run(before, code=TELL, /, **environment):
    script = f'set -e; {before}; exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", script, "sh", sys.executable, "-c", code]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": "/usr/sbin:/usr/bin", **environment},
    )


def told(before=PRIVATE, **environment):
    done = run(before, **{USER_VARIABLE: str(USER), **environment})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_nothing_is_left_of_roots_rights():
    status = told()["status"]
    assert status["Uid"] == status["Gid"] == [str(USER)] * 4
    assert status["Groups"] == [str(USER)]
    assert {name: status[name] for name in status if name.startswith("Cap")} == {
        f"Cap{kind}": ["0" * 16] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")
    }
    assert status["NoNewPrivs"] == ["1"]


def test_capabilities_that_programs_would_inherit_are_put_down():
    inheriting = PRIVATE + '; set -- setpriv --inh-caps +sys_admin --ambient-caps +sys_admin "$@"'
    assert told(inheriting)["status"]["CapInh"] == ["0" * 16]


def test_of_the_nodes_devices_those_that_the_pod_names_are_reached_and_no_others():
    given = told(**{DEVICES_VARIABLE: "/dev/kvm:/dev/hyper2kvm/web01-disk0:/dev/absent"})
    assert given["reachable"] == ["/dev/hyper2kvm/web01-disk0", "/dev/kvm", "/dev/null", "/dev/urandom"]
    assert given["modes"]["/dev/sda"] == given["modes"]["/dev/mapper/root"] == "0o0"


@pytest.mark.parametrize(("mode", "group"), [("660", ["107", "36"]), ("666", ["107"]), ("600", ["107"])])
def test_a_device_of_the_machine_is_not_changed_but_reached_by_its_group(mode, group, tmp_path):
    machine = f"mknod -m {mode} {tmp_path}/kvm c 10 232; chown 0:36 {tmp_path}/kvm"
    mounted = f"{machine}; {PRIVATE}; mount --bind {tmp_path}/kvm /dev/kvm"
    done = run(mounted, **{USER_VARIABLE: str(USER), DEVICES_VARIABLE: "/dev/kvm"})
    given = json.loads(done.stdout)
    assert given["modes"]["/dev/kvm"] == f"0o{mode}"
    assert sorted(given["status"]["Groups"]) == sorted(group)
    assert ("closed to uid 107" in done.stderr) is (mode == "600")


def test_a_disk_of_the_machine_is_never_reached_by_its_group(tmp_path):
    """Group `disk` would open every other disk of the node."""
    disk = f"mknod -m 660 {tmp_path}/sdb b 8 16; chown 0:6 {tmp_path}/sdb"
    mounted = f"{disk}; {PRIVATE}; mount --bind {tmp_path}/sdb /dev/hyper2kvm/web01-disk0"
    assert told(mounted, **{DEVICES_VARIABLE: "/dev/hyper2kvm/web01-disk0"})["status"]["Groups"] == ["107"]


def test_a_dev_that_is_the_machines_is_left_as_it_is():
    """A bind mount of the node's /dev is a devtmpfs: to close its nodes would close them for everybody."""
    before = json.loads(run("true", TELL.replace("drop()", "")).stdout)["modes"]
    assert told("true")["modes"] == before


def test_the_process_may_look_at_itself():
    assert told()["descriptors"] > 0


def test_without_a_user_to_become_nothing_changes():
    done = run(PRIVATE)
    given = json.loads(done.stdout)
    assert given["status"]["Uid"] == ["0"] * 4
    assert given["modes"]["/dev/sda"] == "0o666"


def test_a_process_that_is_not_roots_changes_nothing():
    done = run(PRIVATE, "import os; os.geteuid = lambda: 65534" + TELL, **{USER_VARIABLE: str(USER)})
    given = json.loads(done.stdout)
    assert given["status"]["Uid"] == ["0"] * 4
    assert given["modes"]["/dev/sda"] == "0o666"


@pytest.mark.parametrize(
    ("before", "user"),
    [
        ("true", "root"),
        ("true", "0"),
        ('set -- setpriv --bounding-set -setpcap --inh-caps -setpcap "$@"', "107"),
        ('set -- setpriv --bounding-set -setuid --inh-caps -setuid "$@"', "107"),
    ],
)
def test_a_command_that_cannot_give_them_up_does_nothing_else(before, user, tmp_path):
    last_words = tmp_path / "termination-log"
    done = run(
        before,
        "import sys; sys.argv = ['h2k', '--version']; from hyper2kvm.cli import main; main()",
        **{USER_VARIABLE: user, "HYPER2KVM_TERMINATION_LOG": str(last_words)},
    )
    assert done.returncode == 8
    assert done.stderr.startswith("error PrivilegesKept")
    assert done.stdout == ""
    assert json.loads(last_words.read_text())["failure"]["reason"] == "PrivilegesKept"
