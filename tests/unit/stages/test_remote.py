"""A source whose disks are no files of this machine: it serves them over NBD for as long as it is open."""

import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from hyper2kvm.disk.connection import Connection, uri_of
from hyper2kvm.disk.image import examine_disk
from hyper2kvm.disk.location import NbdExport
from hyper2kvm.disk.nodes import ExportNode
from hyper2kvm.disk.server import NbdServer
from hyper2kvm.events import Events
from hyper2kvm.pipeline import describe, migrate
from hyper2kvm.sources.description import Fetched, Part
from hyper2kvm.sources.place import Place, machine_disk
from hyper2kvm.stages.documents import Flattened
from hyper2kvm.stages.work import Work
from hyper2kvm.workspace import Workspace
from hyper2kvm_api.errors import ImageError, SourceError
from hyper2kvm_api.event import EventType
from hyper2kvm_api.machine import DiskBus, Machine
from hyper2kvm_api.migration import ImageFormat
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.resolve import Places, resolve
from unit.disk.copying import MIB, make_disk
from unit.disk.images import convert, digest
from unit.stages.cases import STAGES

PLACE = Place(DiskBus.SCSI, 0, 0)


class Remote:
    """A Source of one disk, whose bytes another program serves on a socket that is new each time."""

    key = "web01 of the tests"

    def __init__(self, image, format_):
        self.image = image
        self.format = format_
        self.revision = "1"
        self.opened_now = self.opened_ever = 0

    def fetch(self, events, stop):
        with self.opened() as exports:
            with Connection(uri_of(exports["disk"])) as connection:
                location = NbdExport(export="disk", length=connection.size)
            source = examine_disk(PLACE.disk, self.format, location, exports=exports)
        disk = machine_disk(PLACE, source, "web01")
        machine = Machine(name="web01", memory=512 * MIB, disks=(disk,))
        return Fetched(machine=machine, disks=(source,), parts=(Part(name="disk", identity=self.revision),))

    def identity(self, part):
        return {"disk": self.revision}.get(part)

    @contextmanager
    def opened(self):
        served = {"driver": "raw", "file": {"driver": "file", "filename": str(self.image), "read-only": True}}
        with tempfile.TemporaryDirectory(prefix="h2k-remote-") as folder:
            socket = Path(folder, "disk.sock")
            with NbdServer(served, socket, writable=False, log=Path(folder, "log")):
                self.opened_now += 1
                self.opened_ever += 1
                try:
                    yield {"disk": socket}
                finally:
                    self.opened_now -= 1


class Case:
    def __init__(self, folder, format_=ImageFormat.RAW):
        self.raw = make_disk(folder / "disk.raw")
        image = self.raw if format_ is ImageFormat.RAW else convert(self.raw, folder / "image", str(format_))
        self.source = Remote(image, format_)
        self.out = folder / "out"
        self.target = self.out / "web01-disk0.raw"
        self.workspace = Workspace(self.out / "web01.h2k")
        self.seen = []

    def run(self, watch=lambda _: None):
        self.seen = []
        events = Events([self.seen.append, watch])
        with self.workspace.lock():
            fetched = describe(self.source, self.workspace, events)
            spec = {
                "source": {"files": {"volume": {"hostPath": {"path": "/remote"}}, "path": "."}},
                "guest": {"whenUnsupported": "Copy"},
                "validation": {"boot": {"enabled": False}},
            }
            plan = resolve(
                {"metadata": {"name": "web01"}, "spec": spec}, (), fetched.machine, Places("/remote", str(self.out))
            )
            return migrate(Work(plan, self.source, self.workspace, events), fetched)

    @property
    def started(self):
        return [str(event.stage) for event in self.seen if event.type is EventType.STAGE_STARTED]


@pytest.mark.parametrize("format_", [ImageFormat.RAW, ImageFormat.QCOW2, ImageFormat.VHDX])
def test_a_disk_behind_nbd_is_migrated(tmp_path, format_):
    case = Case(tmp_path, format_)
    case.run()
    assert case.started == STAGES
    assert digest(case.target) == digest(case.raw)
    assert case.source.opened_now == 0
    node = case.workspace.read(Flattened, "flatten").disks[0].node
    assert (node.driver, node.file) == (str(format_), ExportNode(export="disk"))


def test_a_source_is_opened_only_when_its_bytes_are_read(tmp_path):
    case = Case(tmp_path)
    case.run()
    opened = case.source.opened_ever
    case.run()
    assert case.started == []
    assert case.source.opened_ever == opened


def test_an_interrupted_copy_goes_on_from_another_socket(tmp_path):
    case = Case(tmp_path)

    def interrupt(event):
        if event.type is EventType.PROGRESS and event.stage == "Convert":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        case.run(interrupt)
    assert case.source.opened_now == 0
    case.run()
    assert case.started == ["Convert", "Validate"]
    assert digest(case.target) == digest(case.raw)


def test_another_revision_is_another_source(tmp_path):
    case = Case(tmp_path)

    def change(event):
        if event.type is EventType.PROGRESS and event.stage == "Convert":
            case.source.revision = "2"

    with pytest.raises(SourceError, match="disk: changed while it was copied") as caught:
        case.run(change)
    assert caught.value.reason is Reason.SOURCE_CHANGED
    case.run()
    assert case.started == STAGES


def test_a_damaged_image_behind_nbd_is_found_as_in_a_file(tmp_path):
    case = Case(tmp_path, ImageFormat.QCOW2)
    content = case.source.image.read_bytes()
    case.source.image.write_bytes(content[: len(content) // 2 // 512 * 512])
    with pytest.raises(ImageError) as caught:
        case.run()
    assert caught.value.reason is Reason.IMAGE_TRUNCATED
    assert case.source.opened_now == 0
