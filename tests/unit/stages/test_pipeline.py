"""What is done again after what change, and what a run leaves behind."""

import json
import os
import shutil

import pytest

from hyper2kvm.history import History
from hyper2kvm.report.write import write_report
from hyper2kvm.stages import validate
from hyper2kvm.stages.documents import Converted, Flattened, Validated
from hyper2kvm_api.errors import SourceError, TargetError, ValidationError
from hyper2kvm_api.event import EventType
from hyper2kvm_api.reasons import Reason
from lab.smallvolume import resize, small_volume
from unit.disk.images import digests
from unit.newer import newer
from unit.stages.cases import STAGES, Case


@pytest.fixture
def unproven(case, monkeypatch):
    """A case whose disks are copied and did not stand the test: nothing is published."""

    def fail(*_, **__):
        raise ValidationError(Reason.BOOT_FAILED, "it did not come up")

    monkeypatch.setattr(validate, "validate", fail)
    rerun(case)
    assert case.started == STAGES
    return case


def rerun(case, **spec):
    with pytest.raises(ValidationError):
        case.run(**spec)
    return case.started


def test_a_run_leaves_disks_a_domain_and_its_workspace(case):
    before = digests(case.source)
    validated = case.run()
    case.check_targets()
    assert sorted(path.name for path in case.out.iterdir()) == [
        "web01-disk0.raw",
        "web01-disk1.raw",
        "web01.h2k",
        "web01.xml",
    ]
    assert validated.disks == tuple(map(str, case.targets))
    assert validated.domain == str(case.domain)
    assert digests(case.source) == before
    assert case.started == STAGES


def test_every_stage_tells_of_bytes_that_take_time(case):
    case.run()
    for stage in ("Convert", "Validate"):
        progress = case.progress(stage)
        assert {event.disk for event in progress} == {"scsi0:0", "scsi0:1"}
        assert all(event.done <= event.total for event in progress)


def test_the_same_run_again_does_nothing(case):
    case.run()
    before = digests(case.out), case.domain.stat().st_mtime_ns
    case.run()
    assert case.started == []
    assert case.skipped == STAGES
    assert (digests(case.out), case.domain.stat().st_mtime_ns) == before


def test_the_same_run_again_proves_again_what_was_not_proven(unproven):
    assert rerun(unproven) == ["Validate"]


@pytest.mark.parametrize(
    ("spec", "stages"),
    [
        ({"guest": {"serialConsole": True}}, ["Inspect", "Fix", "Validate"]),
        ({"machine": {"memory": "1Gi"}}, ["Inspect", "Fix", "Validate"]),
        ({"validation": {"boot": {"enabled": True, "timeout": "1m"}}}, ["Validate"]),
        ({"target": {"disks": {"format": "qcow2"}}}, ["Fix", "Convert", "Validate"]),
        ({"target": {"disks": {"bus": "sata"}}}, ["Fix", "Convert", "Validate"]),
        ({"target": {"virtualMachine": {"networkModel": "e1000e"}}}, ["Fix", "Validate"]),
    ],
)
def test_a_change_of_the_spec_is_followed_by_the_stages_that_depend_on_it(unproven, spec, stages):
    assert rerun(unproven, **spec) == stages
    assert rerun(unproven, **spec) == ["Validate"]


def touch_source(case):
    os.utime(case.source / "web01-0-flat.vmdk")


def change_size(case):
    with (case.source / "web01.vmx").open("a") as vmx:
        vmx.write("\n")


def remove_graph(case):
    shutil.rmtree(case.workspace.folder / "graph")


def remove_copy(case):
    case.partials[1].unlink()


def forget(name):
    return lambda case: (case.workspace.folder / f"{name}.json").unlink()


def of_another_version(case):
    """As a newer program may write it."""
    path = case.workspace.folder / "flatten.json"
    document = json.loads(path.read_text())
    document["document"]["unknown"] = 1
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        (touch_source, STAGES),
        (change_size, STAGES),
        (remove_graph, ["Flatten", "Validate"]),
        (remove_copy, ["Convert", "Validate"]),
        (forget("fetch"), ["Fetch", "Validate"]),
        (forget("guest"), ["Inspect", "Validate"]),
        (forget("convert"), ["Convert", "Validate"]),
        (of_another_version, ["Flatten", "Validate"]),
    ],
)
def test_what_is_gone_or_changed_is_made_again_and_what_still_holds_is_not(unproven, change, stages):
    change(unproven)
    assert rerun(unproven) == stages


def test_documents_that_have_more_fields_now_still_hold(unproven):
    assert rerun(unproven, version=newer) == ["Validate"]


def test_another_version_of_the_program_looks_and_repairs_again(unproven, monkeypatch):
    monkeypatch.setattr("hyper2kvm.pipeline._VERSION", "99")
    assert rerun(unproven) == STAGES


def test_a_source_that_changes_while_it_is_copied_ends_the_run_and_the_next_one_starts_anew(case):
    raw = case.source / "web01-0-flat.vmdk"

    def write(event):
        if event.type is EventType.PROGRESS and event.stage == "Convert":
            raw.write_bytes(raw.read_bytes()[:-512] + b"\x5a" * 512)

    with pytest.raises(SourceError, match=r"web01-0-flat\.vmdk") as caught:
        case.run(watch=write)
    assert caught.value.reason is Reason.SOURCE_CHANGED
    assert (caught.value.exit_code, caught.value.stage) == (3, "Convert")
    assert "starts anew" in caught.value.hint
    assert [path for path in case.targets if path.exists()] == []
    assert not (case.workspace.folder / "convert.json").exists()
    case.raws[0].write_bytes(raw.read_bytes())
    case.run()
    assert case.started == STAGES
    case.check_targets()


def test_documents_say_what_was_done(case):
    case.run()
    read = case.workspace.read
    flattened, converted = read(Flattened, "flatten"), read(Converted, "convert")
    assert [disk.capacity for disk in flattened.disks] == [raw.stat().st_size for raw in case.raws]
    assert [disk.copied_now == disk.data for disk in converted.disks] == [True, True]
    assert read(Validated, "validate").disks == tuple(disk.target for disk in converted.disks)


def test_no_copy_is_made_before_convert(unproven):
    """Overlays, descriptors and documents: a few hundred KiB beside disks of 12 MiB."""
    allocated = sum(path.lstat().st_blocks * 512 for path in unproven.workspace.folder.rglob("*") if path.is_file())
    assert allocated < 1 << 20


@pytest.fixture
def small(tmp_path):
    """A migration whose targets and workspace are on one file system that is too small for them."""
    with small_volume(tmp_path / "out", "6m"):
        yield Case(tmp_path)


def test_a_full_file_system_of_targets_and_workspace_is_a_full_target(small):
    with pytest.raises(TargetError) as caught:
        small.run()
    assert caught.value.reason is Reason.TARGET_FULL
    assert (caught.value.stage, caught.value.disk is not None) == ("Convert", True)
    assert [path for path in small.targets if path.exists()] == []
    resize(small.out, "64m")
    small.run()
    assert small.started == ["Convert", "Validate"]
    copied = small.workspace.read(Converted, "convert").disks
    assert sum(disk.copied_now for disk in copied) < sum(disk.data for disk in copied)
    small.check_targets()


def states(case):
    """How the report says that the stages went."""
    report, _ = write_report(case.workspace)
    return {each["stage"]: each["state"] for each in json.loads(report.read_text())["stages"]}


def test_a_copy_that_is_made_again_and_fails_is_not_called_proven(small):
    """By the documents of the run that made the disks which are gone now."""
    resize(small.out, "64m")
    small.run(watch=History(small.workspace.folder).add)
    assert states(small)["Validate"] == "done"
    for target in small.targets:
        target.unlink()
    resize(small.out, "6m")
    with pytest.raises(TargetError):
        small.run(watch=History(small.workspace.folder).add)
    assert states(small) == dict.fromkeys(STAGES, "done") | {"Convert": "unfinished", "Validate": "not reached"}
