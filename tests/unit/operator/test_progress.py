"""What a pod's log tells of how far it is."""

import pytest

from hyper2kvm_api.event import Event, EventType
from hyper2kvm_api.migration import DiskStatus
from hyper2kvm_api.stage import Stage
from hyper2kvm_operator.reconcile.migration.progress import copied_percent, read_progress


def log(*events):
    return "\n".join(
        Event(time="2026-01-15T09:12:44.120Z", type=EventType.PROGRESS, **each).to_json() for each in events
    )


def test_what_is_copied_counts_and_what_is_read_back_afterwards_does_not():
    copied = {"stage": Stage.CONVERT, "disk": "scsi0:0", "done": 100, "total": 100, "rate": 10}
    read_back = {"stage": Stage.VALIDATE, "disk": "scsi0:0", "done": 5, "total": 100, "rate": 10}
    told = read_progress(log(copied, read_back))
    assert (told.stage, told.disks) == ("Validate", {"scsi0:0": (100, 100)})


def test_comparing_an_archive_is_no_copying():
    told = read_progress(log({"stage": Stage.FETCH, "file": "web01.mf", "done": 5, "total": 100, "rate": 10}))
    assert (told.stage, told.disks) == ("Fetch", {})


@pytest.mark.parametrize(
    ("disks", "percent"),
    [
        ([{}, {}], None),
        ([{}, {"copied": 100, "total": 100}], 9),
        ([{"copied": 150, "total": 300}, {"copied": 100, "total": 100}], 62),
        ([{"copied": 300, "total": 300}, {"copied": 100, "total": 100}], 100),
        ([{"copied": 0, "total": 0}, {"copied": 0, "total": 0}], None),
    ],
)
def test_a_disk_that_has_told_nothing_counts_whole(disks, percent):
    """A small disk is copied before a large one has told how much there is to copy: 100 % would be told, and then less."""
    assert (
        copied_percent([DiskStatus(id=f"scsi0:{n}", capacity=1000, **disk) for n, disk in enumerate(disks)]) == percent
    )
