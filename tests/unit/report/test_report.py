import hashlib
import json
import struct
import zlib

import pytest

from hyper2kvm.evidence import SCREENSHOT, SERIAL_LOG
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
from hyper2kvm.report.picture import fitted
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
from hyper2kvm_api.errors import HostError, ValidationError
from hyper2kvm_api.event import Event, EventType
from hyper2kvm_api.machine import Cpu, DiskBus, Firmware, Machine, MachineDisk, Nic
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
    cpu=Cpu(sockets=2, cores=3),
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


def image(width, rows):
    """A PNG as the boot check writes it, of rows of pixels."""
    header = struct.pack(">IIBBBBB", width, len(rows), 8, 2, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    )


def png(width=4, height=3):
    return image(width, [b"\x20\x40\x60" * width] * height)


def noise(width, height):
    """A screenshot that no compression makes smaller."""
    return image(width, [hashlib.shake_128(bytes([n % 256, n // 256])).digest(3 * width) for n in range(height)])


def event(type_, stage=None, **fields):
    return Event(time="2026-01-02T03:04:05.678Z", type=type_, stage=stage, **fields)


def finished(stage, seconds):
    return [event(EventType.STAGE_STARTED, stage), event(EventType.STAGE_FINISHED, stage, seconds=seconds)]


def success(validated=VALIDATED):
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
        validated=validated,
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


def test_the_page_describes_the_machine():
    html = page(success(), None, None)
    for name, value in (
        ("Name in the source", "Web 01"),
        ("Processors", "6 (2 sockets \N{MULTIPLICATION SIGN} 3 cores \N{MULTIPLICATION SIGN} 1 thread)"),
        ("Memory", "2 GiB"),
        ("Firmware", "BIOS"),
        ("Network ethernet0", "00:50:56:00:00:01, VM Network, was vmxnet3"),
    ):
        assert f"<th>{name}</th><td>{value}</td>" in html


def test_the_page_shows_how_long_each_stage_took():
    html = page(success(), None, None)
    for stage, time in zip(Stage, ("0.0", "1.5", "3.0", "4.5", "6.0", "7.5"), strict=True):
        assert f'<li class="done"><b>{stage}</b><span class="soft">{time} s</span></li>' in html


SENTENCES = {
    Evidence.PROBE: "a probe inside the running guest",
    Evidence.SERIAL_LOGIN: "the login prompt on the serial port",
    Evidence.SCREEN_LOGIN: "the login prompt on the screen",
    Evidence.UNLOCK_PROMPT: "the prompt for the disk\N{RIGHT SINGLE QUOTATION MARK}s passphrase (the boot goes on after it is typed)",
}


@pytest.mark.parametrize("evidence", Evidence)
def test_the_page_says_what_shows_that_the_guest_came_up(evidence):
    probe = VALIDATED.boot.probe if evidence is Evidence.PROBE else None
    validated = VALIDATED.replaced(boot=VALIDATED.boot.replaced(evidence=evidence, probe=probe))
    html = page(success(validated), None, None)
    assert "Migrated and booted" in html
    assert f"<th>Shown by</th><td>{SENTENCES[evidence]}</td>" in html
    assert ("<th>Reached</th>" in html) == (probe is not None)


def test_the_page_needs_nothing_from_elsewhere():
    html = page(success(), png(), None)
    assert "http" not in html.replace('http-equiv="Content-Security-Policy"', "")
    assert "src=" not in html.replace('src="data:image/png', "")


def test_what_a_guest_says_is_escaped():
    html = page(success(), None, HOSTILE)
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 4


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
    assert "The guest did not come up. This is its last screen." in html


class Kept:
    """A workspace with what a run leaves in it."""

    def __init__(self, folder):
        self.workspace = Workspace(folder)
        self.write(plan=resolve(MIGRATION, [], MACHINE, Places("/exports", "/out")), guest=GUEST, fix=FIXED)
        self.history = History(folder)

    def write(self, **documents):
        for name, document in documents.items():
            self.workspace.write(name, document, "")

    def boots(self, *, proof):
        """A run whose boot check ended, with its evidence."""
        (self.workspace.evidence / SCREENSHOT).write_bytes(png())
        (self.workspace.evidence / SERIAL_LOG).write_text("login:")
        end = event(EventType.STAGE_FINISHED, Stage.VALIDATE, seconds=1)
        self.run(*list(Stage)[:-1], last=end if proof else event(EventType.FAILED, Stage.VALIDATE, reason="BootFailed"))

    def run(self, *stages, last):
        for stage in stages:
            for each in finished(stage, 1):
                self.history.add(each)
        self.history.add(event(EventType.STAGE_STARTED, last.stage))
        self.history.add(last)

    def report(self):
        as_json, as_html = write_report(self.workspace)
        return json.loads(as_json.read_text()), as_html.read_text()


FAILED = Result(
    outcome=Outcome.FAILED, failure=failure_of(ValidationError(Reason.BOOT_FAILED, "the guest stopped", disk=None))
)


@pytest.fixture
def kept(tmp_path):
    return Kept(tmp_path / "w")


def test_evidence_of_an_earlier_check_is_not_that_of_a_run_without_one(kept):
    kept.boots(proof=False)
    kept.write(convert=CONVERTED, result=FAILED)
    report, html = kept.report()
    assert (report["boot"], "data:image/png" in html) == ("Failed", True)
    end = event(EventType.STAGE_FINISHED, Stage.VALIDATE, seconds=1)
    kept.run(*list(Stage)[:-1], last=end)
    kept.write(validate=VALIDATED.replaced(boot=None), result=Result(outcome=Outcome.SUCCEEDED))
    report, html = kept.report()
    assert report["boot"] == "Skipped"
    assert "did not come up" not in html
    assert "data:image/png" not in html
    assert "login:" not in html
    assert "It was not asked for" in html


def test_a_run_that_fails_before_the_check_says_nothing_of_an_earlier_one(kept):
    kept.boots(proof=False)
    failure = failure_of(HostError(Reason.PROGRAM_FAILED, "no more"))
    kept.run(Stage.FETCH, last=event(EventType.FAILED, Stage.FLATTEN, reason="ProgramFailed"))
    kept.write(result=Result(outcome=Outcome.FAILED, failure=failure))
    report, html = kept.report()
    assert [stage["state"] for stage in report["stages"]] == [
        "done",
        "failed",
        "done",
        "done",
        "not reached",
        "not reached",
    ]
    assert "boot" not in report
    assert "did not come up" not in html


def test_a_copy_that_failed_its_check_is_shown_where_it_is(kept):
    kept.boots(proof=False)
    kept.write(convert=CONVERTED, result=FAILED)
    _, html = kept.report()
    for disk in CONVERTED.disks:
        assert f"<code>{disk.written}</code>" in html
        assert f"<code>{disk.target}</code>" not in html
    assert "A copy gets its final name once" in html


@pytest.mark.parametrize(("firmware", "shown"), [("bios", "BIOS"), ("uefi", "UEFI with Secure Boot")])
def test_bios_is_never_said_to_have_secure_boot(kept, firmware, shown):
    plan = resolve(MIGRATION, [], MACHINE, Places("/exports", "/out"))
    kept.write(plan=plan.replaced(machine=plan.machine.replaced(secure_boot=True)))
    kept.write(guest=GUEST.replaced(firmware=Firmware(firmware)))
    assert f"<th>Firmware</th><td>{shown}</td>" in kept.report()[1]


def test_both_files_fit_a_config_map_whatever_the_guest_holds(kept):
    line = "+" + "<&>" * 30 + "\n"
    edits = [
        EditRecord(kind=EditKind.WRITE, path=f"/etc/file{number}", reasons=("long",), diff=line * 3000)
        for number in range(300)
    ]
    kept.write(fix=FIXED.replaced(edits=tuple(edits)), validate=VALIDATED, convert=CONVERTED)
    kept.boots(proof=True)
    (kept.workspace.evidence / SCREENSHOT).write_bytes(noise(1280, 1024))
    (kept.workspace.evidence / SERIAL_LOG).write_text("<&>" * 100_000)
    report, html = kept.report()
    sizes = [(kept.workspace.folder / name).stat().st_size for name in ("report.json", "report.html")]
    assert sizes[1] < 700 * 1024
    assert sum(sizes) < 1000 * 1024
    for text in (report["fixed"]["edits"][0]["diff"], html):
        assert "more characters are left out here; fix.json in the workspace has all of it" in text
    assert report["omitted"] == 300 - len(report["fixed"]["edits"]) > 0
    assert "more changes are left out here</b>" in html
    assert "(300)</h2>" in html
    assert "data:image/png;base64," in html


def test_a_diff_of_a_usual_length_is_whole(kept):
    kept.write(fix=FIXED.replaced(edits=(FIXED.edits[0].replaced(diff="+x\n" * 1000),)))
    report, html = kept.report()
    assert report["fixed"]["edits"][0]["diff"] == "+x\n" * 1000
    assert html.count('class="added"') == 1000


def colours(picture):
    """Width, height and the pixels' colours of a PNG with a palette."""
    width, height, depth, kind = struct.unpack_from(">IIBB", picture, 16)
    assert (depth, kind) == (8, 3)
    palette = picture[picture.index(b"PLTE") + 4 :][:768]
    data = picture[picture.index(b"IDAT") + 4 :]
    rows = zlib.decompressobj().decompress(data)
    pixels = [rows[n * (width + 1) + 1 : (n + 1) * (width + 1)] for n in range(height)]
    return width, height, [[tuple(palette[3 * p : 3 * p + 3]) for p in row] for row in pixels]


def test_a_small_screenshot_is_shown_as_it_is():
    assert fitted(png(), 10_000) == png()


def test_a_large_screenshot_has_fewer_colours_and_then_fewer_pixels():
    wide = png(2000, 500)
    smaller = fitted(wide, len(wide) - 1)
    width, height, pixels = colours(smaller)
    assert (width, height) == (2000, 500)
    assert {colour for row in pixels for colour in row} == {(36, 72, 85)}
    for limit in (150 * 1024, 20 * 1024):
        made = fitted(noise(1280, 1024), limit)
        assert len(made) <= limit
        width, height, _ = colours(made)
        assert abs(width / height - 1.25) < 0.05


@pytest.mark.parametrize("wrong", [b"\x89PNG\r\n\x1a\n" + bytes(5000), b"GIF89a" + bytes(5000), noise(99, 99)[:-5000]])
def test_what_is_no_screenshot_of_ours_is_left_out(wrong):
    assert fitted(wrong, 1000) is None


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
