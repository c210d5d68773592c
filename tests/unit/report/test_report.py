import json
import struct
import zlib

import pytest

from hyper2kvm.guest.description import (
    BootLoader,
    DriverPlace,
    Family,
    Guest,
    Kernel,
    OperatingSystem,
    VendorTools,
)
from hyper2kvm.guest.edits import EditKind, EditRecord
from hyper2kvm.history import History
from hyper2kvm.report.model import Documents, build
from hyper2kvm.report.text import diff_lines, moment, size, span, together
from hyper2kvm.report.write import page, write_report
from hyper2kvm.stages.documents import (
    BootProof,
    Converted,
    CopiedDisk,
    Evidence,
    Fixed,
    Probe,
    ProbedInterface,
    Validated,
)
from hyper2kvm.workspace import Workspace
from hyper2kvm_api.errors import ValidationError
from hyper2kvm_api.event import Event, EventType
from hyper2kvm_api.machine import DiskBus, Firmware, Machine, MachineDisk, Nic
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.resolve import Places, resolve
from hyper2kvm_api.result import Outcome, Result, failure_of
from hyper2kvm_api.stage import Stage

HOSTILE = "</pre><script>alert('guest')</script>"
MIGRATION = {
    "metadata": {"name": "web01"},
    "spec": {"source": {"files": {"volume": {"hostPath": {"path": "/exports"}}, "path": "web01.ova"}}},
}
MACHINE = Machine(
    name="Web 01",
    memory=2 << 30,
    disks=(
        MachineDisk(
            id="scsi0:0", bus=DiskBus.SCSI, controller=0, unit=0, capacity=4 << 30, format="vmdk", file="a.vmdk"
        ),
    ),
    nics=(Nic(id="ethernet0", mac="00:50:56:00:00:01", model="vmxnet3", network="VM Network"),),
)
GUEST = Guest(
    os=OperatingSystem(
        family=Family.DEBIAN, id="debian", version="12", name=f"Debian {HOSTILE}", architecture="x86_64", init="systemd"
    ),
    root="/dev/sda1",
    boot_disk="scsi0:0",
    firmware=Firmware.BIOS,
    kernels=(
        Kernel(
            version="6.1.0",
            image="/boot/vmlinuz-6.1.0",
            initramfs="/boot/initrd.img-6.1.0",
            modules="/lib/modules/6.1.0",
            drivers={"virtio_blk": DriverPlace.MODULES},
        ),
    ),
    boot_loaders=(BootLoader(kind="grub-pc", disk="scsi0:0"),),
    vendor_tools=(VendorTools(name="open-vm-tools", kind="package", evidence="open-vm-tools"),),
)
FIXED = Fixed(
    applied=True,
    edits=(
        EditRecord(
            kind=EditKind.WRITE,
            path="/etc/fstab",
            reasons=("/dev/sda1 is called /dev/vda1 on the new controller; the UUID does not change.",),
            diff=f"--- a/etc/fstab\n+++ b/etc/fstab\n@@ -1 +1 @@\n-/dev/sda1 / ext4\n+UUID=1 / ext4 {HOSTILE}\n",
        ),
        EditRecord(
            kind=EditKind.APPEND,
            path="/boot/initrd.img-6.1.0",
            reasons=("The initramfs had no virtio driver.",),
            summary="14 modules, 1.4 MB",
        ),
    ),
    notes=("No device is named in /etc/crypttab.",),
)
CONVERTED = Converted(
    disks=(
        CopiedDisk(
            id="scsi0:0",
            target="/out/web01-disk0.raw",
            written="/out/.web01-disk0.raw.partial",
            capacity=4 << 30,
            data=1 << 30,
            stored=1 << 30,
            digest="sha256-1MiB:" + "ab" * 32,
            copied_now=1 << 30,
        ),
    )
)
VALIDATED = Validated(
    disks=("/out/web01-disk0.raw",),
    domain="/out/web01.xml",
    boot=BootProof(
        evidence=Evidence.PROBE,
        seconds=41.5,
        accelerator="tcg",
        firmware="bios",
        probe=Probe(
            target="multi-user",
            kernel="6.1.0",
            root_device="/dev/vda1",
            uptime=33.2,
            interfaces=(ProbedInterface(name="ens192", mac="00:50:56:00:00:01", addresses=("192.0.2.10/24",)),),
        ),
    ),
)
NOTHING = Documents(*[None] * 9)


def png(width=4, height=3):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + b"\x20\x40\x60" * width for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def event(type_, stage=None, **fields):
    return Event(time="2026-01-02T03:04:05.678Z", type=type_, stage=stage, **fields)


def finished(stage, seconds):
    return [event(EventType.STAGE_STARTED, stage), event(EventType.STAGE_FINISHED, stage, seconds=seconds)]


def success():
    events = [e for n, stage in enumerate(Stage) for e in finished(stage, 1.5 * n)]
    warned = [event(EventType.WARNING, Stage.FIX, reason="GrubInstallDevices", message="look", hint="do")] * 2
    documents = Documents(
        identity=None,
        plan=resolve(MIGRATION, [], MACHINE, Places("/exports", "/out")),
        result=Result(outcome=Outcome.SUCCEEDED),
        fetched=None,
        flattened=None,
        guest=GUEST,
        fixed=FIXED,
        converted=CONVERTED,
        validated=VALIDATED,
    )
    return build(documents, [*events, *warned], "1.2.3")


def test_the_page_of_a_success_shows_proof_changes_and_digests():
    html = page(success(), png(), "Debian GNU/Linux 12 web01 ttyS0\nlogin:")
    for text in (
        "Migrated and booted",
        "a probe inside the running guest",
        "192.0.2.10/24",
        "data:image/png;base64,iVBOR",
        "/dev/sda1 is called /dev/vda1",
        "14 modules, 1.4 MB",
        "sha256-1MiB:abab",
        "GrubInstallDevices",
        "login:",
        "lacked virtio",
    ):
        assert text in html


def test_the_page_needs_nothing_from_elsewhere():
    html = page(success(), png(), None)
    assert "http" not in html.replace('http-equiv="Content-Security-Policy"', "")
    assert "src=" not in html.replace('src="data:image/png', "")


def test_what_a_guest_says_is_escaped():
    html = page(success(), None, HOSTILE)
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 3


def test_a_warning_that_several_runs_told_is_shown_once():
    assert [w.reason for w in success().warnings] == ["GrubInstallDevices"]


def test_the_page_of_a_failure_says_what_to_do():
    error = ValidationError(Reason.BOOT_FAILED, "the guest stopped in the initramfs shell", disk="scsi0:0")
    documents = Documents(
        identity=None,
        plan=resolve(MIGRATION, [], MACHINE, Places("/exports", "/out")),
        result=Result(outcome=Outcome.FAILED, failure=failure_of(error)),
        fetched=None,
        flattened=None,
        guest=GUEST,
        fixed=FIXED,
        converted=CONVERTED,
        validated=None,
    )
    events = [*finished(Stage.FETCH, 1), event(EventType.FAILED, Stage.VALIDATE, reason="BootFailed")]
    report = build(documents, events, "1.2.3")
    assert [(s.stage, s.state) for s in report.stages if s.state != "not reached"] == [
        (Stage.FETCH, "done"),
        (Stage.VALIDATE, "failed"),
    ]
    html = page(report, png(), None)
    assert "the guest stopped in the initramfs shell" in html
    assert error.hint in html
    assert "this is its last screen" in html


def test_a_stage_that_was_killed_is_unfinished():
    report = build(NOTHING, [*finished(Stage.FETCH, 1), event(EventType.STAGE_STARTED, Stage.FLATTEN)], "1")
    assert [s.state for s in report.stages[:3]] == ["done", "unfinished", "not reached"]


def test_a_report_of_an_empty_workspace_is_written(tmp_path):
    workspace = Workspace(tmp_path / "w")
    as_json, as_html = write_report(workspace)
    assert json.loads(as_json.read_text())["name"] == "unknown"
    assert "Unfinished" in as_html.read_text()


def test_torn_lines_of_the_history_are_ignored(tmp_path):
    history = History(tmp_path)
    history.add(event(EventType.NOTE, message="kept"))
    with (tmp_path / "events.jsonl").open("a") as lines:
        lines.write('{"time": "2026')
    assert [e.message for e in history.events()] == ["kept"]


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (1536, "1.5 KiB"), (4 << 30, "4 GiB"), (123 << 30, "123 GiB"), (1 << 60, "1024 PiB")],
)
def test_sizes_read_as_people_say_them(count, text):
    assert size(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(4.24, "4.2 s"), (185, "3 min 05 s"), (7260, "2 h 01 min")])
def test_spans_read_as_people_say_them(seconds, text):
    assert span(seconds) == text


def test_moments_and_diffs():
    assert moment("2026-01-02T03:04:05.678Z") == "2026-01-02 03:04:05 UTC"
    assert [name for name, _ in diff_lines("--- a\n+++ b\n@@ -1 +1 @@\n-x\n+y\n z")] == [
        "file",
        "file",
        "hunk",
        "removed",
        "added",
        "same",
    ]


def test_many_edits_for_the_same_reasons_are_one_group_after_the_others():
    tools = [EditRecord(kind=EditKind.REMOVE, path=f"/usr/bin/tool{n}", reasons=("gone",)) for n in range(5)]
    fstab = EditRecord(kind=EditKind.WRITE, path="/etc/fstab", reasons=("moved",), diff="-a\n+b\n")
    assert together([*tools, fstab]) == [[fstab], tools]
    assert together([*tools[:2], fstab]) == [[tools[0]], [tools[1]], [fstab]]
