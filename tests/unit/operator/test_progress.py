"""What a pod's log tells of how far it is."""

from hyper2kvm_api.event import Event, EventType
from hyper2kvm_api.stage import Stage
from hyper2kvm_operator.reconcile.migration.progress import read_progress


def log(*events):
    return "\n".join(
        Event(time="2026-01-15T09:12:44.120Z", type=EventType.PROGRESS, **each).to_json() for each in events
    )


def test_what_is_copied_counts_and_what_is_read_back_afterwards_does_not():
    copied = {"stage": Stage.CONVERT, "disk": "scsi0:0", "done": 100, "total": 100, "rate": 10}
    read_back = {"stage": Stage.VALIDATE, "disk": "scsi0:0", "done": 5, "total": 100, "rate": 10}
    told = read_progress(log(copied, read_back))
    assert (told.stage, told.percent, told.disks) == ("Validate", 100, {"scsi0:0": (100, 100)})


def test_comparing_an_archive_is_no_copying():
    told = read_progress(log({"stage": Stage.FETCH, "file": "web01.mf", "done": 5, "total": 100, "rate": 10}))
    assert (told.stage, told.percent) == ("Fetch", None)
