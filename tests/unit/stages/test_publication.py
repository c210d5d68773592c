"""Finished targets: nobody's file is taken over, an interruption is completed, and what is published is left alone."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from hyper2kvm.disk import publish
from hyper2kvm.events import Events
from hyper2kvm.pipeline import migrate
from hyper2kvm.prepare import start
from hyper2kvm.stages import publication
from hyper2kvm.stages.documents import Converted, Published
from hyper2kvm_api.errors import TargetError
from hyper2kvm_api.plan import Plan
from hyper2kvm_api.reasons import Reason
from unit.disk.images import digest, digests
from unit.newer import newer
from unit.stages.cases import MIB, SIZE, STAGES, Case


def refused(case, reason, **spec):
    with pytest.raises(TargetError) as caught:
        case.run(**spec)
    assert caught.value.reason is reason
    assert caught.value.exit_code == 6
    assert caught.value.hint
    return caught.value


class TestWhatIsInTheWay:
    @pytest.mark.parametrize("name", ["web01-disk1.raw", "web01.xml"])
    def test_it_ends_the_run_before_its_work(self, case, name):
        (case.out / name).write_text("somebody's")
        error = refused(case, Reason.TARGET_EXISTS)
        assert name in error.message
        assert case.started == ["Fetch"]
        assert (case.out / name).read_text() == "somebody's"

    @pytest.mark.parametrize("name", ["web01-disk1.raw", "web01.xml"])
    def test_it_does_so_too_when_disks_are_copied_already(self, case, name, monkeypatch):
        """A Converted document, stale or not, says nothing of whose the file is."""
        monkeypatch.setattr(publication, "publish_all", lambda *_, **__: None)
        case.run()
        (case.out / name).write_text("somebody's")
        assert name in refused(case, Reason.TARGET_EXISTS).message
        assert case.started == []

    @pytest.mark.parametrize("name", ["web01-disk1.raw", "web01.xml"])
    def test_links_and_folders_are_in_the_way_as_well(self, case, name):
        (case.out / name).symlink_to("/nowhere")
        refused(case, Reason.TARGET_EXISTS)
        (case.out / name).unlink()
        (case.out / name).mkdir()
        refused(case, Reason.TARGET_EXISTS)

    def test_a_domain_that_appears_meanwhile_is_not_replaced(self, case, monkeypatch):
        real = publish.give_name

        def meanwhile(written, target):
            if target == case.domain:
                target.write_text("somebody's")
            real(written, target)

        monkeypatch.setattr(publication, "give_name", meanwhile)
        refused(case, Reason.TARGET_EXISTS)
        assert case.domain.read_text() == "somebody's"
        assert not list(case.out.glob(".*.partial"))

    def test_another_runs_file_under_the_provisional_name_is_not_published(self, case, monkeypatch):
        """Of a run with another workspace and the same output folder, that began when the disks here were copied."""
        real = publication.publish_all

        def meanwhile(*arguments, **options):
            other = case.folder / "other"
            other.write_text("half written")
            other.replace(case.partials[0])
            real(*arguments, **options)

        monkeypatch.setattr(publication, "publish_all", meanwhile)
        assert "another run's file" in refused(case, Reason.TARGET_UNWRITABLE).message
        assert not any(target.exists() for target in case.targets)
        assert case.partials[0].read_text() == "half written"
        monkeypatch.undo()
        case.run()
        assert case.started == ["Convert", "Validate"]
        case.check_targets()

    def test_a_provisional_file_that_is_gone_is_not_taken_for_a_published_one(self, case, monkeypatch):
        real = publication.publish_all

        def meanwhile(*arguments, **options):
            case.targets[0].write_text("somebody's")
            case.partials[0].unlink()
            real(*arguments, **options)

        monkeypatch.setattr(publication, "publish_all", meanwhile)
        refused(case, Reason.TARGET_UNWRITABLE)
        assert case.targets[0].read_text() == "somebody's"


class TestInterruption:
    """Killed at any point of publishing, the same run completes it, and checks nothing twice."""

    @pytest.mark.parametrize("renamed", [0, 1])
    def test_between_two_names(self, case, monkeypatch, renamed):
        real = publication.publish
        left = renamed

        def dying(copied):
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            real(copied)

        monkeypatch.setattr(publication, "publish", dying)
        with pytest.raises(KeyboardInterrupt):
            case.run()
        assert [path.exists() for path in case.targets] == [number < renamed for number in range(2)]
        monkeypatch.undo()
        case.run()
        assert case.started == []
        case.check_targets()
        assert case.domain.exists()
        assert not list(case.out.glob(".*.partial"))

    def test_before_the_domain_is_written(self, case, monkeypatch):
        monkeypatch.setattr(publication, "_write", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            case.run()
        assert not case.domain.exists()
        monkeypatch.undo()
        case.run()
        assert case.started == []
        assert case.domain.exists()


class TestPublished:
    """Once targets are published, a machine may be using them."""

    @pytest.mark.parametrize(
        "spec",
        [
            {"target": {"disks": {"bus": "sata"}}},
            {"target": {"virtualMachine": {"networkModel": "e1000e"}}},
            {"guest": {"serialConsole": True}},
            {"machine": {"firmware": "uefi"}},
        ],
    )
    def test_another_plan_is_refused_before_any_work(self, case, spec):
        case.run()
        before = digests(case.out)
        error = refused(case, Reason.TARGET_PUBLISHED, **spec)
        assert "another name" in error.hint
        assert case.started == []
        assert digests(case.out) == before
        case.run()
        assert case.skipped == STAGES

    def test_a_version_whose_documents_have_more_fields_knows_the_plan_and_the_source_again(self, case):
        case.run()
        before = digests(case.out)
        case.run(version=newer)
        assert case.skipped == STAGES
        assert digests(case.out) == before

    @pytest.mark.parametrize("part", ["machine", "guest", "disks"])
    def test_what_is_new_and_stated_is_another_plan(self, case, part):
        """Such as an option of the guest that the older version did not know."""
        case.run()
        stated = {"oneMore": "said"}

        def version(document):
            if not isinstance(document, Plan):
                return newer(document)
            known = document.to_object()[part]
            changed = [one | stated for one in known] if part == "disks" else known | stated
            return newer(document, **{part: changed})

        refused(case, Reason.TARGET_PUBLISHED, version=version)

    def test_another_source_is_refused(self, case):
        case.run()
        before = digests(case.out)
        flat = case.source / "web01-0-flat.vmdk"
        flat.write_bytes(bytes(SIZE))
        refused(case, Reason.TARGET_PUBLISHED)
        assert digests(case.out) == before

    def test_a_plan_that_proves_otherwise_reads_and_writes_nothing(self, case):
        """Such as with the boot check switched on: the disks are read back, and started on throw-away overlays."""
        case.run()
        before = digests(case.out)
        case.run(validation={"boot": {"enabled": False, "timeout": "7m"}})
        assert case.started == ["Validate"]
        assert digests(case.out) == before

    def test_other_hardware_makes_another_domain_and_no_other_disks(self, case):
        case.run()
        before = digest(case.targets[0]), digest(case.targets[1])
        case.run(machine={"memory": "3Gi", "tpm": True})
        assert case.started == ["Validate"]
        assert str(3 << 30) in case.domain.read_text()
        assert (digest(case.targets[0]), digest(case.targets[1])) == before

    def test_targets_that_a_machine_has_written_are_left_alone(self, case):
        case.run()
        with case.targets[0].open("r+b") as disk:
            disk.seek(2 << 20)
            disk.write(b"written by the machine")
        before = digests(case.out)
        for _ in range(2):
            error = refused(case, Reason.TARGET_PUBLISHED, validation={"boot": {"enabled": False, "timeout": "7m"}})
            assert "has changed since" in error.message
            assert error.disk == "scsi0:0"
        assert digests(case.out) == before
        assert case.workspace.read(Converted, "convert")

    def test_a_file_of_another_size_is_left_alone(self, case):
        case.run()
        case.targets[0].write_bytes(b"x" * 512)
        refused(case, Reason.TARGET_PUBLISHED, validation={"boot": {"enabled": False, "timeout": "7m"}})
        assert case.targets[0].read_bytes() == b"x" * 512

    def test_what_is_published_and_not_understood_is_left_alone(self, case):
        """Written by a newer version, say: a device would be written over otherwise."""
        case.run()
        (case.workspace.folder / "published.json").write_text('{"document": {"unknown": 1}}')
        assert "published.json" in refused(case, Reason.TARGET_PUBLISHED).message

    def test_without_its_documents_a_workspace_makes_nothing_anew(self, case):
        case.run()
        (case.workspace.folder / "convert.json").unlink()
        before = digests(case.out)
        assert "convert.json" in refused(case, Reason.TARGET_PUBLISHED).message
        assert digests(case.out) == before

    def test_a_target_that_its_user_has_replaced_is_left_alone(self, case):
        """As by a copy from a backup: once it is published, another inode says nothing."""
        case.run()
        restored = case.folder / "restored"
        restored.write_bytes(case.targets[0].read_bytes())
        restored.replace(case.targets[0])
        case.run()
        assert case.skipped == STAGES

    def test_a_target_that_is_gone_is_not_made_beside_one_that_is_not(self, case):
        case.run()
        case.targets[0].rename(case.folder / "in-use.raw")
        assert "is gone" in refused(case, Reason.TARGET_PUBLISHED).message

    def test_targets_that_are_all_moved_away_are_made_anew(self, case):
        case.run()
        for target in case.targets:
            target.unlink()
        case.run()
        assert case.started == ["Convert", "Validate"]
        case.check_targets()

    def test_a_domain_of_this_workspace_is_replaced_and_an_edited_one_is_not(self, case, monkeypatch):
        case.run()
        old = case.domain.read_text()
        monkeypatch.setattr(publication, "domain_xml", lambda *_: old.replace("web01", "new"))
        case.run()
        assert "new" in case.domain.read_text()
        monkeypatch.undo()
        case.run()
        assert case.domain.read_text() == old
        case.domain.write_text(old + "<!-- mine -->")
        refused(case, Reason.TARGET_EXISTS)
        assert case.domain.read_text().endswith("<!-- mine -->")

    def test_a_domain_that_is_moved_away_is_written_again(self, case):
        case.run()
        case.domain.unlink()
        case.run()
        assert case.started == []
        assert case.domain.exists()


class TestDevices:
    @pytest.fixture
    def device(self, tmp_path):
        """A loop device of the size of a disk, with what an earlier user left."""
        backing = tmp_path / "device"
        backing.write_bytes(b"\xa5" * SIZE)
        attach = ["losetup", "--find", "--show", str(backing)]
        name = subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip()
        yield Path(name)
        subprocess.run(["losetup", "--detach", name], check=True)

    def run(self, case, device, **spec):
        """As in a pod with a volume of the mode Block."""
        case.seen = []
        request = case.request(**spec)
        request = replace(request, places=replace(request.places, targets={"scsi0:0": str(device)}, domain=False))
        with case.workspace.lock():
            return migrate(*start(request, case.workspace, Events([case.seen.append])))

    def test_a_published_device_is_never_written_again(self, tmp_path, device):
        case = Case(tmp_path, disks=1)
        self.run(case, device)
        with device.open("rb") as disk:
            assert disk.read() == case.raws[0].read_bytes()
        written = b"written by the machine"
        with device.open("r+b") as disk:
            disk.write(written)
        self.run(case, device)
        assert case.started == []
        for spec in (
            {"target": {"disks": {"bus": "sata"}}},
            {"validation": {"boot": {"timeout": "7m", "enabled": False}}},
        ):
            with pytest.raises(TargetError) as caught:
                self.run(case, device, **spec)
            assert caught.value.reason is Reason.TARGET_PUBLISHED
        (case.source / "web01.vmx").write_text((case.source / "web01.vmx").read_text() + "\n")
        with pytest.raises(TargetError):
            self.run(case, device)
        with device.open("rb") as disk:
            assert disk.read(len(written)) == written
        assert case.workspace.read(Published, "published").targets == (str(device),)

    @pytest.mark.parametrize("content", [b"\0", b"\x5a"])
    def test_another_device_where_a_published_one_was_is_not_reported_as_finished(self, tmp_path, device, content):
        """As where a claim was made anew and the workspace kept. Whether anybody uses the device is not known."""
        case = Case(tmp_path, disks=1)
        self.run(case, device)
        with device.open("r+b") as disk:
            disk.write(content * SIZE)
        for _ in range(2):
            with pytest.raises(TargetError) as caught:
                self.run(case, device)
            assert caught.value.reason is Reason.TARGET_PUBLISHED
            assert caught.value.disk == "scsi0:0"
            assert "another device" in caught.value.message
        assert case.skipped == ["Fetch"]
        with device.open("rb") as disk:
            assert disk.read() == content * SIZE

    def test_a_published_device_of_which_its_machine_has_left_little_is_known_again(self, tmp_path, device):
        case = Case(tmp_path, disks=1)
        self.run(case, device)
        with device.open("r+b") as disk:
            disk.write(b"written by the machine".ljust(MIB) * 5)
        self.run(case, device)
        assert case.skipped == STAGES

    def test_without_its_journal_nothing_shows_that_a_published_device_is_the_one_that_was_written(
        self, tmp_path, device
    ):
        case = Case(tmp_path, disks=1)
        self.run(case, device)
        case.workspace.journal("scsi0:0").unlink()
        with pytest.raises(TargetError) as caught:
            self.run(case, device)
        assert caught.value.reason is Reason.TARGET_PUBLISHED

    def test_an_empty_disk_is_on_its_published_device_whatever_a_machine_made_of_it(self, tmp_path, device):
        case = Case(tmp_path, disks=1)
        (case.source / "web01-0-flat.vmdk").write_bytes(bytes(SIZE))
        self.run(case, device)
        with device.open("r+b") as disk:
            disk.write(b"written by the machine")
        self.run(case, device)
        assert case.skipped == STAGES


def _interrupt(*_):
    raise KeyboardInterrupt
