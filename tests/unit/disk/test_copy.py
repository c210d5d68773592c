"""The copy engine: every target format, interruptions of every kind, and what stands in its way."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hyper2kvm.disk.copy import Copy, copy_disk
from hyper2kvm.disk.digest import NOTATION
from hyper2kvm.disk.journal import Journal
from hyper2kvm.disk.server import NbdServer
from hyper2kvm.disk.targets.opening import provisional
from hyper2kvm.events import Events
from hyper2kvm.workers import StoppedError
from hyper2kvm_api.errors import SourceError, TargetError
from hyper2kvm_api.event import EventType
from hyper2kvm_api.options import DiskFormat
from hyper2kvm_api.reasons import Reason
from lab.smallvolume import resize, small_volume
from unit.disk.copying import FORMATS, MIB, SIZE, compare, copy, copy_and_die, make_disk, planned

formats = pytest.mark.parametrize(("format_", "compression"), FORMATS)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_disk(tmp_path_factory.mktemp("source") / "disk.raw")


def plain_digest(raw):
    """The recipe of docs/reference/digests.md."""
    data = Path(raw).read_bytes()
    chunks = (data[at : at + MIB] for at in range(0, len(data), MIB))
    return f"{NOTATION}:{hashlib.sha256(b''.join(hashlib.sha256(chunk).digest() for chunk in chunks)).hexdigest()}"


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@formats
def test_a_copy_has_the_content_of_its_source(source, tmp_path, format_, compression):
    disk = planned(tmp_path / "disk.out", format_, compression)
    copied = copy(source, disk, tmp_path)
    assert not Path(disk.target).exists()
    compare(source, copied.written, format_)
    assert copied.digest == plain_digest(source)
    assert copied.capacity == SIZE
    assert copied.copied_now == copied.data
    if format_ is not DiskFormat.RAW:
        subprocess.run(["qemu-img", "check", "-q", "-f", str(format_), copied.written], check=True)


@formats
def test_holes_take_no_space(source, tmp_path, format_, compression):
    copied = copy(source, planned(tmp_path / "disk.out", format_, compression), tmp_path)
    assert copied.stored < 36 * MIB
    assert copied.data < 40 * MIB


@formats
@pytest.mark.parametrize("claims", [1, 9, 25])
def test_a_copy_that_was_killed_goes_on_and_gives_the_same_file(source, tmp_path, format_, compression, claims):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    expected = copy(source, planned(whole / "disk.out", format_, compression), whole)
    disk = planned(killed / "disk.out", format_, compression)
    assert copy_and_die(source, disk, killed, claims).returncode == -signal.SIGKILL
    copied = copy(source, disk, killed)
    assert sha256(copied.written) == sha256(expected.written)
    assert copied.digest == expected.digest
    assert copied.copied_now <= copied.data - claims * MIB // 2


@pytest.mark.parametrize("lost", [1, 40, 79, 80, 81])
def test_a_torn_journal_costs_what_it_lost_and_no_more(source, tmp_path, lost):
    disk = planned(tmp_path / "disk.out")
    copy_and_die(source, disk, tmp_path, 20)
    journal = tmp_path / "disk.journal"
    os.truncate(journal, journal.stat().st_size - lost)
    copied = copy(source, disk, tmp_path)
    compare(source, copied.written, DiskFormat.RAW)
    assert copied.copied_now < copied.data


def test_after_a_restart_of_the_machine_only_what_a_barrier_covers_counts(source, tmp_path, monkeypatch):
    disk = planned(tmp_path / "disk.out", DiskFormat.QCOW2)
    copy_and_die(source, disk, tmp_path, 20)
    monkeypatch.setattr("hyper2kvm.disk.journal._boot", lambda: b"another start".ljust(32))
    copied = copy(source, disk, tmp_path)
    assert copied.copied_now == copied.data
    compare(source, copied.written, DiskFormat.QCOW2)


def test_another_content_starts_the_copy_anew(source, tmp_path):
    disk = planned(tmp_path / "disk.out")
    copy_and_die(source, disk, tmp_path, 20)
    other = make_disk(tmp_path / "other.raw", seed=8)
    compressed = planned(tmp_path / "disk.out", DiskFormat.QCOW2)
    copied = copy(other, compressed, tmp_path)
    assert copied.copied_now == copied.data
    compare(other, copied.written, DiskFormat.QCOW2)


def test_a_damaged_chunk_is_written_again(source, tmp_path):
    disk = planned(tmp_path / "disk.out")
    copied = copy(source, disk, tmp_path)
    with Path(copied.written).open("r+b") as target:
        target.seek(5 * MIB)
        target.write(b"damage" * 1000)
    with Journal(tmp_path / "disk.journal") as journal:
        journal.forget([5])
    again = copy(source, disk, tmp_path)
    assert again.copied_now == MIB
    assert again.digest == copied.digest
    compare(source, again.written, DiskFormat.RAW)


def test_an_existing_target_is_left_alone(source, tmp_path):
    target = tmp_path / "disk.out"
    target.write_text("somebody's")
    with pytest.raises(TargetError) as raised:
        copy(source, planned(target), tmp_path)
    assert raised.value.reason is Reason.TARGET_EXISTS
    assert raised.value.disk == "scsi0:0"
    assert target.read_text() == "somebody's"


def test_stopping_ends_the_copy_and_it_goes_on_later(source, tmp_path):
    disk = planned(tmp_path / "disk.out", DiskFormat.QCOW2)
    stop = threading.Event()

    def after_some(event):
        if event.type is EventType.PROGRESS:
            stop.set()

    with pytest.raises(StoppedError):
        copy(source, disk, tmp_path, events=Events([after_some]), stop=stop)
    copied = copy(source, disk, tmp_path)
    compare(source, copied.written, DiskFormat.QCOW2)


def test_progress_ends_at_the_amount_of_data(source, tmp_path):
    seen = []
    copied = copy(source, planned(tmp_path / "disk.out"), tmp_path, events=Events([seen.append]))
    progress = [event for event in seen if event.type is EventType.PROGRESS]
    assert progress[-1].done == progress[-1].total == copied.data
    assert [event.done for event in progress] == sorted(event.done for event in progress)


@pytest.mark.parametrize("size", [512, MIB, MIB + 512, 3 * MIB - 512])
@formats
def test_disks_of_any_number_of_sectors(tmp_path, size, format_, compression):
    source = tmp_path / "disk.raw"
    source.write_bytes(os.urandom(size // 2) + bytes(size - size // 2))
    copied = copy(source, planned(tmp_path / "disk.out", format_, compression, size), tmp_path)
    compare(source, copied.written, format_)
    assert copied.digest == plain_digest(source)


@formats
def test_an_empty_disk(tmp_path, format_, compression):
    source = tmp_path / "disk.raw"
    source.touch()
    os.truncate(source, 5 * MIB)
    copied = copy(source, planned(tmp_path / "disk.out", format_, compression, 5 * MIB), tmp_path)
    assert copied.data == 0
    assert copied.digest == plain_digest(source)
    compare(source, copied.written, format_)


@pytest.fixture
def small(tmp_path):
    """A file system of 4 MiB of this test alone."""
    with small_volume(tmp_path / "small", "4m") as folder:
        yield folder


@formats
def test_a_full_target_is_continued_after_space_is_made(source, tmp_path, small, format_, compression):
    disk = planned(small / "disk.out", format_, compression)
    warnings = Events()
    with pytest.raises(TargetError) as raised:
        copy(source, disk, tmp_path, events=warnings)
    assert raised.value.reason is Reason.TARGET_FULL
    assert "bytes are free" in raised.value.message
    before, left = (int(re.search(r"(\d+) bytes are", each.message)[1]) for each in (*warnings.warnings, raised.value))
    assert 0 < left < before
    assert not Path(disk.target).exists()
    assert [warning.reason for warning in warnings.warnings] == ["TargetMayFill"]
    resize(small, "64m")
    copied = copy(source, disk, tmp_path)
    assert copied.copied_now < copied.data
    compare(source, copied.written, format_)


def test_a_disk_whose_storage_fails_says_so(source, tmp_path):
    """The sectors from the MiB 5 on cannot be read."""
    broken = {
        "driver": "blkdebug",
        "inject-error": [{"event": "none", "iotype": "read", "errno": 5, "sector": 5 * MIB // 512}],
        "image": {"driver": "file", "filename": str(source)},
    }
    with NbdServer({"driver": "raw", "file": broken}, tmp_path / "s", writable=False, log=tmp_path / "log") as server:
        wanted = Copy(planned(tmp_path / "disk.out"), SIZE, server.uri, "0" * 64, tmp_path / "disk.journal")
        with pytest.raises(SourceError) as raised:
            copy_disk(wanted, Events(), threading.Event())
    assert raised.value.reason is Reason.SOURCE_UNREADABLE
    assert raised.value.disk == "scsi0:0"
    assert "dmesg" in raised.value.hint


def test_a_target_that_fails_is_no_fault_of_the_source(source, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("hyper2kvm.disk.targets.storage.Storage.free", fail)
    with pytest.raises(TargetError) as raised:
        copy(source, planned(tmp_path / "disk.out"), tmp_path)
    assert raised.value.reason is Reason.TARGET_UNWRITABLE


def test_a_disk_that_has_another_size_than_it_had_is_not_copied(source, tmp_path):
    with pytest.raises(SourceError, match=f"{SIZE} bytes") as raised:
        copy(source, planned(tmp_path / "disk.out", capacity=SIZE + 512), tmp_path)
    assert raised.value.reason is Reason.SOURCE_CHANGED


@pytest.fixture
def device(tmp_path):
    """A loop device, somewhat larger than the disk, full of what an earlier user left."""
    backing = tmp_path / "device"
    backing.write_bytes(b"\xa5" * (SIZE + 3 * MIB + 9 * 512))
    attach = ["losetup", "--find", "--show", str(backing)]
    name = subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip()
    yield Path(name)
    subprocess.run(["losetup", "--detach", name], check=True)


@pytest.mark.parametrize("claims", [0, 10])
def test_a_block_device_holds_the_disk_and_zeros_between_its_data(source, tmp_path, device, claims):
    disk = planned(device)
    if claims:
        copy_and_die(source, disk, tmp_path, claims)
    copied = copy(source, disk, tmp_path)
    assert copied.written == copied.target == str(device)
    with device.open("rb") as opened:
        assert opened.read(SIZE) == source.read_bytes()


def replaced(device):
    """Another device at the same path: none of what was written to the one before is on it."""
    with device.open("r+b") as opened:
        opened.write(b"\x5a" * (SIZE + 3 * MIB))


def test_a_copy_to_a_block_device_goes_on_there(source, tmp_path, device):
    disk = planned(device)
    copy_and_die(source, disk, tmp_path, 10)
    copied = copy(source, disk, tmp_path)
    assert copied.copied_now <= copied.data - 10 * MIB // 2


def test_another_block_device_at_the_same_path_is_written_from_the_start(source, tmp_path, device):
    """As where a volume was made anew and the workspace kept."""
    disk = planned(device)
    copy_and_die(source, disk, tmp_path, 10)
    replaced(device)
    copied = copy(source, disk, tmp_path)
    assert copied.copied_now == copied.data
    with device.open("rb") as opened:
        assert opened.read(SIZE) == source.read_bytes()


def test_a_block_device_of_which_nothing_is_left_is_made_anew_between_its_data_too(source, tmp_path, device):
    """As after a read back that found another device where the finished one was."""
    disk = planned(device)
    copy(source, disk, tmp_path)
    replaced(device)
    with Journal(tmp_path / "disk.journal") as journal:
        journal.forget([claim.index for claim in journal.claims() if any(claim.sizes)])
    copy(source, disk, tmp_path)
    with device.open("rb") as opened:
        assert opened.read(SIZE) == source.read_bytes()


def test_a_block_device_that_is_too_small(tmp_path, device):
    source = make_disk(tmp_path / "larger.raw", size=SIZE + 9 * MIB)
    with pytest.raises(TargetError) as raised:
        copy(source, planned(device, capacity=SIZE + 9 * MIB), tmp_path)
    assert raised.value.reason is Reason.TARGET_TOO_SMALL


def test_memory_does_not_grow_with_the_disk(tmp_path):
    source = tmp_path / "disk.raw"
    size = 1 << 40
    with source.open("wb") as disk:
        disk.truncate(size)
        for number in range(64):
            disk.seek(number * (size // 64))
            disk.write(os.urandom(2 * MIB))
    disk = planned(tmp_path / "disk.out", DiskFormat.QCOW2, capacity=size)
    program = (Path(__file__).parent / "copying.py").read_text()
    program += "\nprint(Path('/proc/self/status').read_text())"
    arguments = [str(source), disk.to_json(), str(tmp_path), "1000000"]
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments], check=True, capture_output=True, text=True, timeout=50
    )
    peak = next(line for line in ended.stdout.splitlines() if line.startswith("VmHWM:"))
    assert int(peak.split()[1]) < 256 * 1024  # KiB (proc(5))


def test_a_file_is_given_to_its_owner(source, tmp_path):
    copied = copy(source, planned(tmp_path / "disk.out"), tmp_path, owner=107)
    found = Path(copied.written).stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o007) == (107, 107, 0)
    assert provisional(tmp_path / "disk.out") == Path(copied.written)
