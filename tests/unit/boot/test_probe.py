import os
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from hyper2kvm.boot.probe import SCRIPT, TARGETS, UNIT, permissive, probe_edits
from hyper2kvm.boot.reports import parse_reports
from hyper2kvm.guest.edits import EditKind
from lab.memoryguest import MemoryGuest

MARK = "0123456789abcdef"
SYSTEMCTL = """#!/bin/sh
case "$*" in
"is-active --quiet {target}.target") exit 0 ;;
is-active*) exit 3 ;;
--failed*) echo "● broken.service loaded failed failed Broken" ;;
esac
"""
JOURNALCTL = """#!/bin/sh
echo "Timed out waiting for device dev-sdb1.device - /dev/sdb1."
echo "usb 1-1: device descriptor read/64, error -71"
echo "Dependency failed for data.mount - /data."
"""


def run_script(folder: Path, shell: str, target: str) -> str:
    """What the script sends on this machine: its port and systemd's programs are replaced, and it reports once."""
    for name, text in (("systemctl", SYSTEMCTL.format(target=target)), ("journalctl", JOURNALCTL)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    script = files("hyper2kvm.boot").joinpath("probe.sh").read_text()
    for old, new in (
        ("PATH=/usr/sbin", f"PATH={folder}:/usr/sbin"),
        ("/dev/ttyS1", str(folder / "port")),
        ("-lt 14", "-lt 1"),
        ("sleep 5", ""),
    ):
        assert old in script
        script = script.replace(old, new)
    (folder / "probe.sh").write_text(script)
    done = subprocess.run([shell, str(folder / "probe.sh"), MARK], capture_output=True, timeout=60, check=True)
    assert done.stderr == b""
    return (folder / "port").read_text()


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_script_reports_the_machine_that_it_runs_on(tmp_path, shell):
    (found,) = parse_reports(run_script(tmp_path, shell, "multi-user"), MARK)
    assert found.target == "multi-user"
    assert found.kernel == os.uname().release
    assert found.uptime > 0
    assert found.failed_units == ("broken.service",)
    assert found.complaints == ()
    assert [mount.path for mount in found.mounts].count("/") >= 1
    named = {path.parent.name for path in Path("/sys/class/net").glob("*/address")}
    assert {interface.name for interface in found.interfaces} >= named - {"lo"}


def test_in_emergency_mode_the_script_tells_what_systemd_complains_of(tmp_path):
    (found,) = parse_reports(run_script(tmp_path, "sh", "emergency"), MARK)
    assert found.target == "emergency"
    assert found.complaints == (
        "Timed out waiting for device dev-sdb1.device - /dev/sdb1.",
        "Dependency failed for data.mount - /data.",
    )


def test_the_script_is_plain_posix_shell():
    assert shutil.which("dash")
    text = files("hyper2kvm.boot").joinpath("probe.sh").read_text()
    assert not any(word in text for word in ("[[", "local ", "function ", "echo ", "grep", "awk", "sed "))


def test_the_unit_is_wanted_where_guests_end():
    edits = {edit.path: edit for edit in probe_edits(MemoryGuest(), MARK, emulated=False)}
    unit = edits[f"/etc/systemd/system/{UNIT}"].content.decode()
    assert f"ExecStart=/bin/sh {SCRIPT} {MARK}\n" in unit
    assert "DefaultDependencies=no\n" in unit
    assert edits[SCRIPT].mode == 0o755
    for target in TARGETS:
        link = edits[f"/etc/systemd/system/{target}.target.wants/{UNIT}"]
        assert (link.kind, link.target) == (EditKind.LINK, f"../{UNIT}")


@pytest.mark.parametrize("line", ["SELINUX=enforcing", "SELINUX = Enforcing"])
def test_an_enforcing_guest_is_made_permissive_for_the_check(line):
    guest = MemoryGuest({"/etc/selinux/config": f"# SELINUX= can be\n{line}\nSELINUXTYPE=targeted\n"})
    edits = probe_edits(guest, MARK, emulated=False)
    assert permissive(edits)
    assert edits[-1].content == b"# SELINUX= can be\nSELINUX=permissive\nSELINUXTYPE=targeted\n"


@pytest.mark.parametrize("config", ["SELINUX=disabled\n", "SELINUX=permissive\n", "#SELINUX=enforcing\n"])
def test_other_guests_keep_their_selinux(config):
    assert not permissive(probe_edits(MemoryGuest({"/etc/selinux/config": config}), MARK, emulated=False))
    assert not permissive(probe_edits(MemoryGuest(), MARK, emulated=False))


def test_an_emulated_guest_is_given_more_patience():
    def patience(*, emulated):
        return [
            edit.content
            for edit in probe_edits(MemoryGuest(), MARK, emulated=emulated)
            if edit.path.startswith("/etc/systemd/system.conf.d/")
        ]

    assert patience(emulated=False) == []
    (text,) = patience(emulated=True)
    assert b"DefaultTimeoutStartSec=300s" in text
