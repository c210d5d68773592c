"""Finished targets are read back; what differs fails the migration and is copied again."""

import threading
from pathlib import Path

import pytest

from hyper2kvm.disk.finished import TargetDisk
from hyper2kvm.disk.nodes import FileNode, ImageNode
from hyper2kvm.disk.publish import publish, standing
from hyper2kvm.disk.verify import verify_disk
from hyper2kvm.events import Events
from hyper2kvm.stages.convert import convert, holds
from hyper2kvm.stages.documents import CopiedDisk, Fixed, FlatDisk, Flattened
from hyper2kvm.stages.work import Work
from hyper2kvm.workspace import Workspace
from hyper2kvm_api.errors import TargetError, ValidationError
from hyper2kvm_api.machine import DiskBus, Machine, MachineDisk
from hyper2kvm_api.migration import Mode
from hyper2kvm_api.options import GuestOptions
from hyper2kvm_api.plan import Plan, PlannedBoot, PlannedSource
from hyper2kvm_api.reasons import Reason
from unit.disk.copying import FORMATS, MIB, SIZE, compare, make_disk, planned

formats = pytest.mark.parametrize(("format_", "compression"), FORMATS)


class Case:
    """A machine of one disk."""

    def __init__(self, folder, format_, compression):
        self.source = make_disk(folder / "source.raw")
        self.disk = planned(folder / "out" / "disk", format_, compression)
        hardware = Machine(
            name="web01",
            memory=1 << 30,
            disks=(
                MachineDisk(
                    id="scsi0:0", bus=DiskBus.SCSI, controller=0, unit=0, capacity=SIZE, format="raw", file="source.raw"
                ),
            ),
        )
        plan = Plan(
            name="web01",
            namespace="default",
            mode=Mode.MIGRATE,
            source=PlannedSource(path=str(folder)),
            machine=hardware,
            disks=(self.disk,),
            guest=GuestOptions(),
            boot=PlannedBoot(enabled=False, timeout=1),
        )
        self.work = Work(plan, Workspace(folder / "workspace"), Events(), threading.Event())

    def convert(self):
        node = ImageNode(driver="raw", file=FileNode(filename=str(self.source)))
        flat = FlatDisk(id="scsi0:0", capacity=SIZE, node=node, links=("source.raw",))
        return convert(self.work, Flattened(source="0" * 64, disks=(flat,)), Fixed(applied=False))

    def verify(self, copied):
        disk = self.disk
        target = TargetDisk(disk.id, standing(copied), disk.format, SIZE, disk.bus, disk.serial)
        verify_disk(self.work, target, copied.digest)


@formats
def test_a_whole_target_passes(tmp_path, format_, compression):
    case = Case(tmp_path, format_, compression)
    converted = case.convert()
    case.verify(converted.disks[0])
    publish(converted.disks[0])
    assert holds(converted)
    compare(case.source, case.disk.target, format_)
    case.verify(converted.disks[0])


@formats
def test_damage_is_found_and_mended_by_the_next_run(tmp_path, format_, compression):
    case = Case(tmp_path, format_, compression)
    copied = case.convert().disks[0]
    _damage(Path(copied.written), copied)
    with pytest.raises(ValidationError) as raised:
        case.verify(copied)
    assert raised.value.reason is Reason.CONTENT_MISMATCH
    assert raised.value.disk == "scsi0:0"
    again = case.convert().disks[0]
    assert again.copied_now <= 3 * MIB
    case.verify(again)


def test_data_where_nothing_was_written_is_damage_too(tmp_path):
    case = Case(tmp_path, *FORMATS[0])
    copied = case.convert().disks[0]
    with Path(copied.written).open("r+b") as target:
        target.seek(10 * MIB)
        target.write(b"x")
    with pytest.raises(ValidationError) as raised:
        case.verify(copied)
    assert raised.value.reason is Reason.CONTENT_MISMATCH
    case.verify(case.convert().disks[0])


def test_publishing_twice_is_publishing_once(tmp_path):
    case = Case(tmp_path, *FORMATS[0])
    copied = case.convert().disks[0]
    publish(copied)
    publish(copied)
    assert standing(copied) == Path(copied.target)
    assert not Path(copied.written).exists()


def test_publishing_never_takes_another_files_name(tmp_path):
    case = Case(tmp_path, *FORMATS[0])
    copied = case.convert().disks[0]
    Path(copied.target).write_text("somebody's")
    with pytest.raises(TargetError) as raised:
        publish(copied)
    assert raised.value.reason is Reason.TARGET_EXISTS
    assert Path(copied.target).read_text() == "somebody's"
    assert Path(copied.written).exists()


def test_where_renaming_cannot_refuse_a_link_does(tmp_path, monkeypatch):
    """As on NFS."""

    def refuse(*_):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr("hyper2kvm.disk.publish.rename_noreplace", refuse)
    case = Case(tmp_path, *FORMATS[0])
    copied = case.convert().disks[0]
    publish(copied)
    assert standing(copied) == Path(copied.target)
    assert not Path(copied.written).exists()


def _damage(path, copied: CopiedDisk):
    """Change a byte in the middle of what is stored."""
    with path.open("r+b") as target:
        at = 5 * MIB if copied.data == copied.capacity else 5 * MIB + 100_000
        at = min(at, path.stat().st_size // 2)
        target.seek(at)
        old = target.read(64)
        target.seek(at)
        target.write(bytes(byte ^ 0xFF for byte in old))
