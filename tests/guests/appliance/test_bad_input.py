"""What `h2k run` says where the source is sound and what follows is not."""

import shutil

import pytest

from lab.command import h2k, manifest
from lab.debiantree import LINKS, files, release
from lab.rawdisk import Part, RawDisk, unpacked
from lab.smallvolume import resize, small_volume
from unit.cli.test_bad_input import check_failed, digests

pytestmark = pytest.mark.appliance

FSTAB = "/dev/sda1 / ext4 errors=remount-ro 0 1\n"
GRUB = b"\xeb\x63".ljust(384, b"\x90") + b"GRUB \0Geom"
NO_BOOT = {"validation": {"boot": {"enabled": False}}}
KEY = "correct horse battery staple"
EMPTY_OVERLAY = 196 * 1024
"""Bytes that qemu-img takes for one."""


@pytest.fixture
def source(tmp_path):
    made = tmp_path / "source"
    made.mkdir()
    return made


def bootable_disk(source, tree, content, links):
    """A disk that a firmware starts, with a file system of these files."""
    disk = RawDisk(source / "disk.img", 128)
    disk.partitions("dos", [Part(0)])
    disk.ext4(1, unpacked(tree, content, links))
    disk.write(0, GRUB)


def data_alone(source, tree):
    bootable_disk(source, tree, {"/data": b"and no system"}, {})


def system_of_no_known_family(source, tree):
    content = {"/usr/lib/os-release": release("unheardof", "Unheardof Linux 1", "1")}
    bootable_disk(source, tree, files(FSTAB) | content, LINKS)


def encrypted_root(source, tree):
    disk = RawDisk(source / "disk.img", 160)
    disk.partitions("dos", [Part(32), Part(0)])
    disk.ext4(1, unpacked(tree, {"/grub/grub.cfg": b""}, {}))
    disk.luks(2, KEY)
    disk.write(0, GRUB)


@pytest.mark.parametrize(
    ("make", "reason", "hint"),
    [
        (data_alone, "NoOperatingSystem", "whenUnsupported: Copy"),
        (system_of_no_known_family, "UnsupportedOperatingSystem", "whenUnsupported: Copy"),
        (encrypted_root, "EncryptedWithoutKey", "spec.guest.keys.secretName"),
    ],
)
def test_a_guest_that_is_not_repaired_fails_with_a_way_out(tmp_path, source, make, reason, hint):
    make(source, tmp_path / "tree")
    before = digests(source)
    ended = h2k("run", manifest(tmp_path, "web01", source, "disk.img", **NO_BOOT), "--output", tmp_path / "out")
    check_failed(ended, 5, reason, hint)
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["web01.h2k"]
    assert list((tmp_path / "out/web01.h2k/overlays").iterdir()) == []
    assert digests(source) == before


def test_a_key_that_does_not_fit_is_named_by_its_file_and_written_nowhere(tmp_path, source):
    encrypted_root(source, tmp_path / "tree")
    before = digests(source)
    secret = tmp_path / "secret"
    secret.mkdir()
    wrong = "wrong horse battery staple"
    (secret / "passphrase").write_text(f"{wrong}\n")
    options = NO_BOOT | {"guest": {"keys": {"secretName": "web01-keys"}}}
    file = manifest(tmp_path, "web01", source, "disk.img", **options)
    ended = h2k("run", file, "--output", tmp_path / "out", "--secret", f"web01-keys={secret}")
    check_failed(ended, 5, "EncryptedWithoutKey", "spec.guest.keys.secretName")
    assert "passphrase" in ended.stderr
    assert wrong not in ended.stdout + ended.stderr
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert [path for path in written if wrong.encode() in path.read_bytes()] == []
    assert digests(source) == before


@pytest.fixture
def small(tmp_path):
    """A file system of this test alone."""
    with small_volume(tmp_path / "small", "8m") as folder:
        yield folder


def test_a_full_workspace_ends_the_repair_and_it_is_made_anew_when_there_is_space(tmp_path, source, small):
    """The appliance sees an error of its disk; QEMU's way would be to stop it until somebody makes room."""
    bootable_disk(source, tmp_path / "tree", files(FSTAB), LINKS)
    before = digests(source)
    file = manifest(tmp_path, "web01", source, "disk.img", **NO_BOOT)
    where = ("--output", tmp_path / "out", "--workspace", small / "w")
    ended = h2k("inspect", file, *where)
    assert ended.code == 0, ended.stderr
    # Room for an empty overlay, and for less than a repair changes.
    used = shutil.disk_usage(small).used
    resize(small, f"{(used + EMPTY_OVERLAY + 96 * 1024) // 1024}k")
    ended = h2k("run", file, *where, deadline=200)
    check_failed(ended, 8, "WorkspaceFull", "continues where it stopped")
    assert [event["stage"] for event in ended.events if event["type"] == "StageStarted"] == ["Fix"]
    assert list((small / "w/overlays").iterdir()) == []
    assert list((small / "w/scratch").glob("*.qcow2")) == []
    assert not (tmp_path / "out/web01-disk0.raw").exists()
    resize(small, "64m")
    ended = h2k("run", file, *where)
    assert ended.code == 0, ended.stderr
    assert next(event["stage"] for event in ended.events if event["type"] == "StageStarted") == "Fix"
    assert digests(source) == before
