"""What `h2k run` says where the source is sound and what follows is not."""

import hashlib
import subprocess

import pytest

from lab.command import h2k, manifest

pytestmark = pytest.mark.appliance

MIB = 1 << 20


@pytest.fixture
def source(tmp_path):
    """A disk with a file system that holds data and no system."""
    folder, tree = tmp_path / "source", tmp_path / "tree"
    folder.mkdir()
    tree.mkdir()
    (tree / "data").write_bytes(hashlib.shake_128(b"data").digest(24 * MIB))
    disk = folder / "disk.img"
    with disk.open("wb") as made:
        made.truncate(64 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-d", str(tree), str(disk)], check=True)
    return folder


def test_disks_without_a_system_fail_with_a_way_out(source, tmp_path):
    before = (source / "disk.img").read_bytes()
    ended = h2k("run", manifest(tmp_path, "web01", source, "disk.img"), "--output", tmp_path / "out")
    assert ended.code == 5, ended.stderr
    assert ended.stderr.startswith("error NoOperatingSystem")
    assert "whenUnsupported" in ended.stderr
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["web01.h2k"]
    assert (source / "disk.img").read_bytes() == before


@pytest.fixture
def small_volume(tmp_path):
    """A file system of 8 MiB of this test alone."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "h2k-test", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_target_is_continued_when_there_is_space(source, tmp_path, small_volume):
    options = {"guest": {"whenUnsupported": "Copy"}, "validation": {"boot": {"enabled": False}}}
    file = manifest(tmp_path, "web01", source, "disk.img", **options)
    command = ("run", file, "--output", small_volume, "--workspace", tmp_path / "w")
    ended = h2k(*command)
    assert ended.code == 6, ended.stderr
    assert ended.stderr.startswith("error TargetFull [scsi0:0]")
    assert "continue" in ended.stderr or "goes on" in ended.stderr
    assert [entry.name for entry in small_volume.iterdir()] == [".web01-disk0.raw.partial"]
    subprocess.run(["mount", "-o", "remount,size=80m", str(small_volume)], check=True)
    ended = h2k(*command)
    assert ended.code == 0, ended.stderr
    assert [event["stage"] for event in ended.events if event["type"] == "StageStarted"] == ["Convert", "Validate"]
    assert (small_volume / "web01-disk0.raw").read_bytes() == (source / "disk.img").read_bytes()
