"""What `h2k fix` leaves in a workspace is what `h2k run` goes on from."""

import pytest

from lab.command import h2k, manifest


@pytest.mark.appliance
def test_a_run_in_the_same_workspace_goes_on_after_the_repair(tiny, tmp_path):
    file = manifest(tmp_path, "web01", tiny.folder, "vmx", validation={"boot": {"enabled": False}})
    where = (file, "--output", tmp_path / "out")
    ended = h2k("fix", *where)
    assert ended.code == 0, ended.stderr
    assert "\n+UUID=" in ended.stdout
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["web01.h2k"]
    ended = h2k("run", *where)
    assert ended.code == 0, ended.stderr
    skipped = [event["stage"] for event in ended.events if event["type"] == "StageSkipped"]
    assert skipped == ["Fetch", "Flatten", "Inspect", "Fix"]
    assert [event["stage"] for event in ended.events if event["type"] == "StageStarted"] == ["Convert", "Validate"]
    assert (tmp_path / "out/web01-disk0.raw").exists()
