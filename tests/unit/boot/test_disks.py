import json
import subprocess

import pytest

from hyper2kvm.boot.disks import throw_away
from hyper2kvm.disk.finished import target_options
from hyper2kvm_api.errors import TargetError
from hyper2kvm_api.options import DiskFormat, TargetBus
from hyper2kvm_api.reasons import Reason
from unit.boot.situations import TargetDisk

MIB = 2**20


def qemu_io(options, *commands):
    """What `qemu-io` does with a block graph."""
    given = [word for command in commands for word in ("-c", command)]
    done = subprocess.run(
        ["qemu-io", *given, "json:" + json.dumps(options)], capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout + done.stderr


def make_target(path, format_, capacity=4 * MIB):
    subprocess.run(["qemu-img", "create", "-q", "-f", format_, path, str(capacity)], check=True)
    return TargetDisk("scsi0:0", path, DiskFormat(format_), capacity, TargetBus.VIRTIO, "h2k-0")


@pytest.mark.parametrize("format_", DiskFormat)
def test_writes_go_to_the_overlay_and_the_target_stays_as_it_is(tmp_path, format_):
    disk = make_target(tmp_path / "target", format_)
    before = disk.path.read_bytes()
    options = throw_away(disk, tmp_path / "overlay.qcow2")
    assert "wrote" in qemu_io(options, "write -P 7 1M 1M")
    assert "verification failed" not in qemu_io(options, "read -P 7 1M 1M", "read -P 0 0 1M")
    assert disk.path.read_bytes() == before


def test_an_overlay_of_an_earlier_start_is_not_used_again(tmp_path):
    disk = make_target(tmp_path / "target", "raw")
    qemu_io(throw_away(disk, tmp_path / "overlay.qcow2"), "write -P 7 1M 1M")
    fresh = throw_away(disk, tmp_path / "overlay.qcow2")
    assert "verification failed" not in qemu_io(fresh, "read -P 0 1M 1M")


def test_a_base_that_a_target_names_is_not_opened(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"\x07" * 4 * MIB)
    target = tmp_path / "target"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", target], check=True)
    disk = TargetDisk("scsi0:0", target, DiskFormat.QCOW2, 4 * MIB, TargetBus.VIRTIO, "h2k-0")
    assert "verification failed" not in qemu_io(throw_away(disk, tmp_path / "overlay.qcow2"), "read -P 0 0 4M")


def test_targets_are_opened_read_only_and_in_their_format(tmp_path):
    options = target_options(make_target(tmp_path / "target", "raw"))
    assert options["driver"] == "raw"
    assert options["read-only"] is True


@pytest.mark.parametrize("name", ["missing", "."])
def test_what_is_no_disk_is_an_error_that_names_it(tmp_path, name):
    disk = TargetDisk("scsi0:0", tmp_path / name, DiskFormat.RAW, MIB, TargetBus.VIRTIO, "h2k-0")
    with pytest.raises(TargetError, match=str(tmp_path)) as caught:
        target_options(disk)
    assert caught.value.reason is Reason.TARGET_UNWRITABLE
    assert caught.value.disk == "scsi0:0"
