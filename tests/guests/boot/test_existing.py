"""The boot check of disks that somebody else made."""

import pytest

from hyper2kvm.boot.existing import ExistingDisk, boot_disks
from hyper2kvm.events import Events
from hyper2kvm.stages.documents import Evidence
from hyper2kvm.workspace import Workspace
from hyper2kvm_api.errors import SourceError, ValidationError
from hyper2kvm_api.options import DiskFormat, MachineOptions
from hyper2kvm_api.reasons import Reason
from unit.boot.bootsector import SERIAL, shows, write_disk


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "workspace")


@pytest.mark.guest
def test_disks_without_a_known_system_are_started_and_a_login_prompt_counts(tmp_path, workspace):
    image = write_disk(tmp_path / "disk.raw", shows(SERIAL, "\nweb01 login: "), size=8 * 2**20)
    events = Events()
    proof = boot_disks([ExistingDisk(image, DiskFormat.RAW)], MachineOptions(), workspace, events)
    assert proof.evidence is Evidence.SERIAL_LOGIN
    assert [event.reason for event in events.warnings] == ["NoOperatingSystem"]


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
