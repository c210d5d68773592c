"""A boot check that says no: where the reason is found, and how a disk that is good all the same is handed off."""

import json

import pytest

from lab.scenario.ending import failed, finished_cleanly
from lab.scenario.moments import stages
from lab.scenario.objects import migration
from lab.scenario.project import KIND, Project

pytestmark = pytest.mark.cluster

PICTURE = "data:image/png;base64,iVBORw0KGgo"
"""How one begins in a page: with the signature of a PNG (ISO/IEC 15948, 5.2)."""


def test_a_machine_that_does_not_come_up_shows_its_last_screen_and_is_not_copied_again_without_the_check(
    operator, project, tiny_disk, tmp_path
):
    """The firmware itself says that there is nothing to start: the disk has no boot record."""
    project.source({"tiny.qcow2": tiny_disk})
    project.apply(migration("tiny", "tiny.qcow2", validation={"boot": {"enabled": True, "timeout": "2m"}}))
    failure = failed(project, "tiny", "BootFailed", "no disk is bootable")
    assert failure["stage"] == "Validate"
    assert "spec.machine.firmware: uefi" in failure["hint"]
    told_by_the_status(project)
    told_by_the_report(project, tmp_path)
    project.patch("tiny", {"validation": {"boot": {"enabled": False}}})
    project.wait_phase("tiny", "Succeeded")
    assert stages(project, project.pods("tiny", "convert")[-1]["metadata"]["name"], "StageStarted") == ["Validate"]
    finished_cleanly(project, "tiny")


def told_by_the_status(project: Project) -> None:
    """There is no boot proof, and the reason is on the screen."""
    status = project.status("tiny")
    (validated,) = (one for one in status["conditions"] if one["type"] == "Validated")
    assert (validated["status"], validated["reason"]) == ("False", "BootFailed")
    assert "boot" not in status
    header, line = project.kubectl("get", KIND, "tiny").splitlines()
    columns = {title: line[header.index(title) :].split("  ")[0] for title in ("PHASE", "BOOT", "REASON")}
    assert columns == {"PHASE": "Failed", "BOOT": "", "REASON": "BootFailed"}


def told_by_the_report(project: Project, folder) -> None:
    """It is kept, and comes with the picture."""
    told = project.h2k("report", "--namespace", project.namespace, "tiny", "--output", folder)
    assert told.code == 0, told.stderr
    report = json.loads((folder / "tiny-report.json").read_text())
    assert report["boot"] == "Failed"
    assert report["result"]["failure"] == project.status("tiny")["failure"]
    page = (folder / "tiny-report.html").read_text()
    assert PICTURE in page
    assert "BootFailed" in page
