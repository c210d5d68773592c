"""INSPECT and FIX as the pipeline runs them: over overlays, in one process or in two, whole or not at all."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from hyper2kvm.disk.nodes import FileNode, FlatDisk, ImageNode, overlay_options
from hyper2kvm.events import Events
from hyper2kvm.guest.description import Guest
from hyper2kvm.guest.edits import EditKind
from hyper2kvm.sources.opening import source_of
from hyper2kvm.stages.documents import FIX_PLAN, Fixed, Flattened
from hyper2kvm.stages.fix import fix
from hyper2kvm.stages.inspect import inspect
from hyper2kvm.stages.opened import OpenedDisks
from hyper2kvm.stages.work import Work
from hyper2kvm.workspace import Workspace, digest
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.migration import Mode
from hyper2kvm_api.options import GuestOptions, UnsupportedPolicy
from hyper2kvm_api.reasons import Reason
from lab.debiantree import INITRAMFS, LINKS, files
from lab.rawdisk import MIB, Part, RawDisk, unpacked

from .conftest import machine, opened, planned

pytestmark = pytest.mark.appliance

DELETED = b"what a deleted file held " * (4 * MIB // 25)
GRUB = b"\xeb\x63".ljust(384, b"\x90") + b"GRUB \0Geom"
FSTAB = (
    "/dev/sda1 / ext4 errors=remount-ro 0 1\n"
    "/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:1:0-part1 /srv ext4 defaults 0 2\n"
)


class Case:
    """A migration of two disks, in a workspace of its own."""

    def __init__(self, folder: Path, images: tuple[Path, ...], **values: object) -> None:
        self.events = Events()
        hardware = machine(*(f"scsi0:{unit}" for unit in range(len(images))))
        plan = planned(hardware, **values)
        self.work = Work(plan, source_of(plan.source), Workspace(folder / "workspace"), self.events)
        self.flattened = Flattened(
            source="0" * 64,
            disks=tuple(
                FlatDisk(
                    id=f"scsi0:{unit}",
                    capacity=path.stat().st_size,
                    node=ImageNode(driver="raw", file=FileNode(filename=str(path))),
                    links=(path.name,),
                )
                for unit, path in enumerate(images)
            ),
        )

    def run(self):
        """Both stages, as the pipeline runs them."""
        remember = self.work.workspace.remember
        with OpenedDisks(self.work, self.flattened) as disks:
            guest, _ = remember("guest", Guest, digest(self.flattened), lambda: inspect(self.work, disks))
            return guest, self.repaired(guest, disks)

    def repaired(self, guest: Guest, disks: OpenedDisks) -> Fixed:
        name = FIX_PLAN if self.work.plan.mode is Mode.PLAN else "fix"
        fixed, _ = self.work.workspace.remember(
            name, Fixed, digest(guest), lambda: fix(self.work, guest, disks), holds=disks.overlays_hold
        )
        return fixed

    def holds(self, fixed) -> bool:
        return OpenedDisks(self.work, self.flattened).overlays_hold(fixed)

    @property
    def overlays(self) -> list[Path]:
        return sorted(self.work.workspace.overlays.iterdir())


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("images")
    system, data = RawDisk(folder / "system.img", 128), RawDisk(folder / "data.img", 32)
    system.partitions("dos", [Part(0)])
    tree = unpacked(folder / "tree", files(FSTAB, {"/junk": DELETED}), LINKS, ["/srv"])
    system.ext4(1, tree)
    remove = ["debugfs", "-w", "-R", "rm /junk", f"{system.path}?offset={system.start(1)}"]
    subprocess.run(remove, check=True, capture_output=True)
    system.write(0, GRUB)
    data.partitions("dos", [Part(0)])
    data.ext4(1, unpacked(folder / "data", {"/value": b"kept"}, {}))
    return system.path, data.path


@pytest.fixture(scope="module")
def migrated(images, tmp_path_factory):
    before = digests(images)
    case = Case(tmp_path_factory.mktemp("migrated"), images)
    guest, fixed = case.run()
    assert digests(images) == before
    return case, guest, fixed


def digests(paths: tuple[Path, ...]) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def flat(case: Case, folder: Path) -> list[Path]:
    """The disks as the stages after FIX read them."""
    made = []
    for disk in case.flattened.disks:
        overlay = case.work.workspace.overlay(disk.id)
        made.append(folder / f"{overlay.stem}.raw")
        graph = "json:" + json.dumps(overlay_options(str(overlay), disk.node.options()))
        subprocess.run(["qemu-img", "convert", "-O", "raw", graph, str(made[-1])], check=True)
    return made


def test_the_guest_is_found_and_repaired(migrated):
    case, guest, fixed = migrated
    assert (guest.root, guest.boot_disk) == ("/dev/sda1", "scsi0:0")
    assert [(mount.path, mount.device) for mount in guest.mounts] == [("/", "/dev/sda1"), ("/srv", "/dev/sdb1")]
    changed = {edit.path: edit for edit in fixed.edits}
    assert {"/etc/fstab", "/boot/grub/grub.cfg", INITRAMFS} <= changed.keys()
    assert changed[INITRAMFS].kind is EditKind.APPEND
    assert fixed.applied
    assert fixed.trimmed > 32 * MIB
    assert case.holds(fixed)


def test_the_changes_are_on_the_disks_and_nothing_else_is(migrated, tmp_path):
    case, guest, fixed = migrated
    disks = flat(case, tmp_path)
    uuids = {device.device: device.uuid for device in guest.devices}
    with opened(disks, tmp_path) as appliance:
        appliance.mount_guest(guest, writable=False)
        text = appliance.read("/etc/fstab").decode()
        assert text.splitlines() == [
            f"UUID={uuids['/dev/sda1']} / ext4 errors=remount-ro 0 1",
            f"UUID={uuids['/dev/sdb1']} /srv ext4 defaults 0 2",
        ]
        assert f"root=UUID={uuids['/dev/sda1']}".encode() in appliance.read("/boot/grub/grub.cfg")
        assert appliance.lstat(INITRAMFS).size > dict(edit_sizes(fixed))[INITRAMFS]
        assert appliance.read("/srv/value") == b"kept"
    assert case.holds(fixed)


def edit_sizes(fixed):
    return [(edit.path, edit.size_before) for edit in fixed.edits]


def test_what_no_file_uses_is_discarded(migrated, images, tmp_path):
    case, _, _ = migrated
    held = [path.read_bytes().count(DELETED[:25]) for path in (images[0], flat(case, tmp_path)[0])]
    assert held[0] > 150_000
    # qcow2 discards whole clusters: what shares its clusters with files stays. And ext4 has some room set aside for each
    # processor, for small files to come (Linux, fs/ext4/mballoc.c, locality groups).
    assert held[1] < 50_000


def test_the_same_run_again_opens_nothing(migrated, monkeypatch):
    case, guest, fixed = migrated
    monkeypatch.setattr(OpenedDisks, "_open", lambda _: pytest.fail("the disks were opened"))
    assert case.run() == (guest, fixed)


@pytest.mark.parametrize("policy", UnsupportedPolicy)
def test_disks_that_no_firmware_starts_are_told_without_the_appliance(policy, tmp_path, monkeypatch):
    disks = RawDisk(tmp_path / "data.img", 16), RawDisk(tmp_path / "more.img", 16)
    disks[0].ext4(0, unpacked(tmp_path / "tree", {"/value": b""}, {}))
    monkeypatch.setattr(OpenedDisks, "_open", lambda _: pytest.fail("the appliance was started"))
    case = Case(tmp_path, tuple(disk.path for disk in disks), options=GuestOptions(when_unsupported=policy))
    if policy is UnsupportedPolicy.COPY:
        guest, fixed = case.run()
        assert (guest.os, guest.boot_disk, fixed.applied) == (None, "scsi0:0", False)
    else:
        with pytest.raises(GuestError, match="none begins with a boot record") as caught:
            case.run()
        assert caught.value.reason is Reason.NO_OPERATING_SYSTEM
    assert case.overlays == []


def test_a_dry_run_plans_the_same_over_overlays_of_its_own_and_leaves_what_was_done_alone(migrated, images):
    case, guest, fixed = migrated
    before = digests(tuple(case.overlays))
    dry = Case(case.work.workspace.folder.parent, images, mode=Mode.PLAN)
    with OpenedDisks(dry.work, dry.flattened) as disks:
        planned_only = dry.repaired(guest, disks)
    assert not planned_only.applied
    assert planned_only.edits == fixed.edits
    assert planned_only.trimmed is None
    assert dry.holds(planned_only)
    assert case.holds(fixed)
    assert digests(tuple(case.overlays)) == before
    assert case.work.workspace.read(Fixed, "fix") == fixed
    assert list(case.work.workspace.scratch.glob("*.qcow2")) == []


def test_no_copy_is_made_before_convert(migrated, images):
    """Of disks that hold 60 MiB, half of them deleted, the workspace has what was changed."""
    case, _, _ = migrated
    allocated = sum(path.lstat().st_blocks * 512 for path in case.work.workspace.folder.rglob("*") if path.is_file())
    assert allocated < 8 * MIB < sum(path.stat().st_blocks * 512 for path in images)


def test_a_fix_that_fails_half_way_leaves_no_overlay(migrated, images, tmp_path, monkeypatch):
    _, guest, _ = migrated
    case = Case(tmp_path, images, options=GuestOptions(trim=False))

    def lost(*_):
        raise GuestError(Reason.EDIT_FAILED, "lost")

    monkeypatch.setattr("hyper2kvm.stages.fix.verify", lost)
    with pytest.raises(GuestError, match="lost"), OpenedDisks(case.work, case.flattened) as disks:
        case.repaired(guest, disks)
    assert case.overlays == []
    assert not (case.work.workspace.folder / "fix.json").exists()


def test_disks_without_a_system_are_an_error_and_leave_no_overlay(tmp_path):
    disk = RawDisk(tmp_path / "empty.img", 16)
    disk.partitions("dos", [Part(0)])
    disk.ext4(1, unpacked(tmp_path / "tree", {"/value": b""}, {}))
    case = Case(tmp_path, (disk.path,))
    with pytest.raises(GuestError, match=r"no disk holds an operating system; found: /dev/sda1 \(ext4\)") as caught:
        case.run()
    assert caught.value.reason is Reason.NO_OPERATING_SYSTEM
    assert case.overlays == []
