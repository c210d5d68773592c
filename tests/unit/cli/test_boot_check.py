"""`h2k run` where the boot check fails, and what libvirt makes of the domains of runs that do not."""

import pytest
from defusedxml.ElementTree import fromstring as parse

from lab.command import h2k, manifest
from unit.cli.test_bad_input import check_failed, digests
from unit.stages.cases import make_source

COPY = {"guest": {"whenUnsupported": "Copy"}}


@pytest.fixture
def source(tmp_path):
    make_source(tmp_path / "source")
    return tmp_path / "source"


def test_a_machine_that_does_not_come_up_publishes_nothing_and_is_tried_again_without_a_copy(tmp_path, source):
    """The firmware itself says that there is nothing to start."""
    before = digests(source)
    boot = {"validation": {"boot": {"enabled": True, "timeout": "1m"}}}
    command = ("run", manifest(tmp_path, "web01", source, ".", **COPY, **boot), "--output", tmp_path / "out")
    ended = h2k(*command)
    check_failed(ended, 7, "BootFailed", "spec.machine.firmware: uefi")
    assert "no disk is bootable" in ended.stderr
    workspace = tmp_path / "out/web01.h2k"
    names = [".web01-disk0.raw.partial", ".web01-disk1.raw.partial", "web01.h2k"]
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == names
    assert (workspace / "evidence/boot-screen.png").read_bytes().startswith(b"\x89PNG")
    report = (workspace / "report.html").read_text()
    assert "data:image/png;base64," in report
    assert "BootFailed" in report
    assert digests(source) == before
    again = h2k(*command)
    assert again.code == 7, again.stderr
    assert [event["stage"] for event in again.events if event["type"] == "StageStarted"] == ["Validate"]
    without = {"validation": {"boot": {"enabled": False}}}
    file = manifest(tmp_path, "web01", source, ".", **COPY, **without)
    ended = h2k("run", file, "--output", tmp_path / "out")
    assert ended.code == 0, ended.stderr
    assert [event["stage"] for event in ended.events if event["type"] == "StageStarted"] == ["Validate"]
    assert (tmp_path / "out/web01-disk0.raw").exists()


@pytest.mark.parametrize(
    ("machine", "bus"),
    [
        ({"firmware": "bios"}, "virtio"),
        ({"firmware": "uefi"}, "scsi"),
        ({"firmware": "uefi", "secureBoot": True}, "sata"),
        ({"firmware": "uefi", "secureBoot": True, "tpm": True}, "virtio"),
    ],
    ids=["bios", "uefi", "secure-boot", "tpm"],
)
def test_libvirt_takes_the_domain_that_a_run_writes(tmp_path, source, virsh, machine, bus):
    options = {"validation": {"boot": {"enabled": False}}, "target": {"disks": {"bus": bus, "format": "qcow2"}}}
    file = manifest(tmp_path, "web01", source, ".", machine=machine, **COPY, **options)
    ended = h2k("run", file, "--output", tmp_path / "out")
    assert ended.code == 0, ended.stderr
    defined = virsh.define((tmp_path / "out/web01.xml").read_text())
    assert defined.returncode == 0, defined.stderr
    kept = parse(virsh("dumpxml", "--inactive", "web01").stdout)
    disks = [source.get("file") for source in kept.iterfind("devices/disk/source")]
    assert disks == [str(tmp_path / f"out/web01-disk{number}.qcow2") for number in (0, 1)]
    assert (kept.find("devices/tpm") is not None) == ("tpm" in machine)
