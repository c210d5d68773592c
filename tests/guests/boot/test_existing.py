"""The boot check of disks that somebody else made."""

import json
import re

import pytest

from hyper2kvm.boot.existing import ExistingDisk, boot_disks
from hyper2kvm.events import Events
from hyper2kvm.workspace import Workspace
from hyper2kvm_api.errors import SourceError, ValidationError
from hyper2kvm_api.options import DiskFormat, MachineOptions
from hyper2kvm_api.reasons import Reason
from lab.command import h2k
from unit.boot.bootsector import SERIAL, shows, write_disk


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "workspace")


def started(folder, *form):
    """What `h2k boot` prints of a disk with a login prompt and no known system, and its screenshot; nothing is written."""
    image = write_disk(folder / "disk.raw", shows(SERIAL, "\nweb01 login: "), size=8 * 2**20)
    before = image.read_bytes()
    ended = h2k("boot", image, "--workspace", folder / "w", *form)
    assert ended.code == 0, ended.stderr
    assert image.read_bytes() == before
    events = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [event["reason"] for event in events if event["type"] == "Warning"] == ["NoOperatingSystem"]
    screenshot = folder / "w/evidence/boot-screen.png"
    assert screenshot.read_bytes().startswith(b"\x89PNG")
    return ended.stdout, screenshot


@pytest.mark.guest
def test_disks_without_a_known_system_are_started_and_a_login_prompt_counts(tmp_path):
    printed, screenshot = started(tmp_path)
    up, screen = printed.splitlines()
    assert re.fullmatch(r"boot +up after \d+ s \((kvm|tcg), shown by SerialLogin\)", up)
    assert screen.split() == ["screen", str(screenshot)]


@pytest.mark.guest
def test_the_proof_is_printed_as_json_when_it_is_asked_for(tmp_path):
    printed, screenshot = started(tmp_path, "--json")
    proof = json.loads(printed)
    assert (proof["evidence"], proof["firmware"]) == ("SerialLogin", "bios")
    assert tmp_path / "w" / proof["screenshot"] == screenshot


@pytest.mark.guest
def test_disks_that_do_not_start_fail(tmp_path, workspace):
    image = tmp_path / "disk.raw"
    image.write_bytes(bytes(8 * 2**20))
    with pytest.raises(ValidationError, match="no disk is bootable") as caught:
        boot_disks([ExistingDisk(image, DiskFormat.RAW)], MachineOptions(), workspace, Events())
    assert caught.value.reason is Reason.BOOT_FAILED


def test_a_missing_disk_is_named(tmp_path, workspace):
    with pytest.raises(SourceError, match=r"missing\.qcow2") as caught:
        boot_disks([ExistingDisk(tmp_path / "missing.qcow2", DiskFormat.QCOW2)], MachineOptions(), workspace, Events())
    assert caught.value.reason is Reason.SOURCE_NOT_FOUND
    assert "path" in caught.value.hint
