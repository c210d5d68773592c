"""Finished targets are read back; what differs is copied again."""

import threading
from contextlib import closing
from pathlib import Path

import pytest

from hyper2kvm.disk.finished import CopiedDisk, TargetDisk
from hyper2kvm.disk.journal import Journal
from hyper2kvm.disk.publish import publish, standing, stands
from hyper2kvm.disk.targets.opening import open_provisional
from hyper2kvm.disk.verify import ReadBack, find_damage, forget_damage
from hyper2kvm.events import Events
from hyper2kvm.workers import StoppedError
from hyper2kvm_api.errors import TargetError
from hyper2kvm_api.event import EventType
from hyper2kvm_api.reasons import Reason
from unit.disk.copying import FORMATS, MIB, SIZE, compare, copy, make_disk, planned

formats = pytest.mark.parametrize(("format_", "compression"), FORMATS)


class Case:
    """A disk, and its copy."""

    def __init__(self, folder, format_, compression):
        self.folder = folder
        self.source = make_disk(folder / "source.raw")
        self.disk = planned(folder / "out" / "disk", format_, compression)

    def convert(self):
        return copy(self.source, self.disk, self.folder)

    def damage(self, copied, events=None, stop=None):
        disk = self.disk
        target = TargetDisk(disk.id, standing(copied), disk.format, SIZE, disk.bus, disk.serial)
        read = ReadBack(target, copied.digest, copied.data, self.journal, self.folder, self.folder / "target.log")
        return find_damage(read, events or Events(), stop or threading.Event())

    @property
    def journal(self):
        return self.folder / "disk.journal"


@formats
def test_a_whole_target_passes(tmp_path, format_, compression):
    case = Case(tmp_path, format_, compression)
    copied = case.convert()
    assert case.damage(copied) is None
    publish(copied)
    compare(case.source, case.disk.target, format_)
    assert case.damage(copied) is None


@formats
def test_damage_is_found_and_mended_by_the_next_copy(tmp_path, format_, compression):
    case = Case(tmp_path, format_, compression)
    copied = case.convert()
    change(Path(copied.written), copied)
    found = case.damage(copied)
    assert "differ from what was written" in found.message
    forget_damage(case.journal, found)
    again = case.convert()
    assert again.copied_now <= 3 * MIB
    assert case.damage(again) is None


def test_damage_that_was_found_is_mended_after_a_restart_of_the_machine_too(tmp_path, monkeypatch):
    """Or on another node: what the journal says of the copy still counts there, and what it says of the damage as well."""
    case = Case(tmp_path, *FORMATS[0])
    copied = case.convert()
    change(Path(copied.written), copied)
    forget_damage(case.journal, case.damage(copied))
    monkeypatch.setattr("hyper2kvm.disk.journal._boot", lambda: b"another start".ljust(32))
    with Journal(case.journal) as journal:
        assert journal.forgotten == {5}
    again = case.convert()
    assert again.copied_now == MIB
    assert case.damage(again) is None


def test_damage_that_nobody_forgets_is_found_again_and_not_written_over(tmp_path):
    """As of a published disk."""
    case = Case(tmp_path, *FORMATS[0])
    copied = case.convert()
    change(Path(copied.written), copied)
    before = case.journal.read_bytes()
    assert case.damage(copied).chunks == case.damage(copied).chunks == (5,)
    assert case.journal.read_bytes() == before


def test_data_where_nothing_was_written_is_damage_too(tmp_path):
    case = Case(tmp_path, *FORMATS[0])
    copied = case.convert()
    with Path(copied.written).open("r+b") as target:
        target.seek(10 * MIB)
        target.write(b"x")
    found = case.damage(copied)
    assert found.chunks is None
    forget_damage(case.journal, found)
    assert case.damage(case.convert()) is None


def test_reading_back_shows_its_progress(tmp_path):
    case = Case(tmp_path, *FORMATS[0])
    copied = case.convert()
    seen = []
    case.damage(copied, Events([seen.append]))
    progress = [event for event in seen if event.type is EventType.PROGRESS]
    assert [event.done for event in progress] == sorted(event.done for event in progress)
    assert progress[-1].done == progress[-1].total == copied.data
    assert {event.disk for event in progress} == {"scsi0:0"}


def test_reading_back_ends_when_it_is_stopped(tmp_path):
    case = Case(tmp_path, *FORMATS[0])
    copied = case.convert()
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        case.damage(copied, stop=stop)


def test_publishing_twice_is_publishing_once(tmp_path):
    copied = Case(tmp_path, *FORMATS[0]).convert()
    publish(copied)
    publish(copied)
    assert standing(copied) == Path(copied.target)
    assert not Path(copied.written).exists()


def test_publishing_never_takes_another_files_name(tmp_path):
    copied = Case(tmp_path, *FORMATS[0]).convert()
    Path(copied.target).write_text("somebody's")
    with pytest.raises(TargetError) as raised:
        publish(copied)
    assert raised.value.reason is Reason.TARGET_EXISTS
    assert Path(copied.target).read_text() == "somebody's"
    assert Path(copied.written).exists()


def replace(path):
    """As another run with the same target does it, once nobody holds the file."""
    new = path.with_name("new")
    new.write_text("somebody's")
    new.replace(path)


class TestAnotherRunsFile:
    """Between the end of a copy and its publication, another run may have taken the provisional name."""

    @pytest.fixture
    def copied(self, tmp_path):
        return Case(tmp_path, *FORMATS[0]).convert()

    def refused(self, copied, match):
        with pytest.raises(TargetError, match=match) as raised:
            publish(copied)
        assert raised.value.reason is Reason.TARGET_UNWRITABLE
        assert raised.value.disk == copied.id
        assert "--output" in raised.value.hint

    def test_it_never_gets_the_targets_name(self, copied):
        replace(Path(copied.written))
        assert not stands(copied)
        self.refused(copied, "another run's file")
        assert not Path(copied.target).exists()
        assert Path(copied.written).read_text() == "somebody's"

    def test_nor_does_it_while_it_is_being_written(self, copied):
        with closing(open_provisional(Path(copied.written))):
            self.refused(copied, "another run is writing it")
        assert not Path(copied.target).exists()
        publish(copied)

    def test_nor_does_a_link_to_it(self, copied):
        written = Path(copied.written)
        written.rename(written.with_name("moved"))
        written.symlink_to("moved")
        with pytest.raises(TargetError):
            publish(copied)
        assert not Path(copied.target).exists()

    def test_that_it_is_published_does_not_make_it_this_runs(self, copied):
        Path(copied.target).write_text("somebody's")
        Path(copied.written).unlink()
        self.refused(copied, "another run's file")

    def test_it_never_has_the_inode_by_which_this_runs_is_known(self, copied, tmp_path):
        """Many file systems give the inode of a removed file to the next one."""
        other = tmp_path / "other"
        other.mkdir()
        copy(tmp_path / "source.raw", planned(copied.target), other)
        assert Path(copied.written).exists()
        assert not stands(copied)

    def test_a_document_of_a_version_that_kept_no_inode_is_believed(self, copied):
        old = CopiedDisk.model_validate({k: v for k, v in copied.to_object().items() if k != "inode"})
        assert stands(old)
        publish(old)
        publish(old)
        assert stands(old)
        assert not Path(copied.written).exists()


def test_where_renaming_cannot_refuse_a_link_does(tmp_path, monkeypatch):
    """As on NFS."""

    def refuse(*_):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr("hyper2kvm.disk.publish.rename_noreplace", refuse)
    copied = Case(tmp_path, *FORMATS[0]).convert()
    publish(copied)
    assert standing(copied) == Path(copied.target)
    assert not Path(copied.written).exists()


def change(path, copied: CopiedDisk):
    """Change a few bytes in the middle of what is stored."""
    with path.open("r+b") as target:
        at = 5 * MIB if copied.data == copied.capacity else 5 * MIB + 100_000
        at = min(at, path.stat().st_size // 2)
        target.seek(at)
        old = target.read(64)
        target.seek(at)
        target.write(bytes(byte ^ 0xFF for byte in old))
