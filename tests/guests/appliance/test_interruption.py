"""Over the same FIX, a copy that was killed gives the same files as one that was not."""

import hashlib
import json
import shutil
import signal
import subprocess

import pytest

from lab.command import h2k, h2k_until, manifest
from unit.cli.test_interruption import COPYING, dying

pytestmark = pytest.mark.appliance


def result(out):
    """SHA-256 of the targets, and the digests that CONVERT took."""
    converted = json.loads((out / "web01.h2k/convert.json").read_text())["document"]["disks"]
    files = [hashlib.sha256((out / f"web01-disk{number}.raw").read_bytes()).hexdigest() for number in (0, 1)]
    return files, [disk["digest"] for disk in converted]


def test_killed_in_convert_the_result_is_identical(tiny, tmp_path):
    out, kept = tmp_path / "out", tmp_path / "kept"
    file = manifest(tmp_path, "web01", tiny.folder, "vmx", validation={"boot": {"enabled": False}})
    command = ("run", file, "--output", out)

    def kill(claims):
        ended = h2k_until(lambda _: False, signal.SIGKILL, *command, program=dying(*COPYING, claims))
        assert ended.code == -signal.SIGKILL, ended.stderr

    kill(0)
    # With its times, by which FIX's overlays are known.
    subprocess.run(["cp", "--archive", out, kept], check=True)
    ended = h2k(*command)
    assert ended.code == 0, ended.stderr
    whole = result(out)
    shutil.rmtree(out)
    kept.rename(out)
    for claims in (3, 5, 4):
        kill(claims)
    ended = h2k(*command)
    assert ended.code == 0, ended.stderr
    assert [event["stage"] for event in ended.events if event["type"] == "StageSkipped"][-1] == "Fix"
    assert result(out) == whole
