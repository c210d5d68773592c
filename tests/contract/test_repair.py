"""What the benchmark of repairs reports of a virt-v2v that ends, and of one that does not."""

import os
import re
import sys
import time
from types import SimpleNamespace

import pytest

from lab.product import REPOSITORY

OURS = 2.0
"""Seconds of INSPECT and FIX, which are not run here."""


@pytest.fixture
def repair(monkeypatch, tmp_path):
    """The benchmark of a guest that is not there."""
    monkeypatch.setattr(sys, "path", [str(REPOSITORY), *sys.path])
    from benchmarks import repair  # noqa: PLC0415 -- the folder is no installed package

    guest = SimpleNamespace(folder=tmp_path, disks=(tmp_path / "system.raw",))
    monkeypatch.setattr(repair, "ensure_guest", lambda _: guest)
    monkeypatch.setattr(repair, "_fix", lambda *_: OURS)
    monkeypatch.setattr(repair.accelerator, "proven", lambda: "tcg")
    return repair


@pytest.fixture
def virt_v2v(tmp_path, monkeypatch):
    """A virt-v2v that does what the test says, and keeps its process id and arguments in a file."""
    program = tmp_path / "bin/virt-v2v"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    calls = tmp_path / "calls"

    def install(behaviour):
        program.write_text(f'#!/bin/sh\necho "$$ $*" >> {calls}\n{behaviour}\n')
        program.chmod(0o755)
        return calls

    return install


def test_a_virt_v2v_that_takes_too_long_is_killed_and_reported_as_such(repair, virt_v2v, tmp_path, monkeypatch):
    monkeypatch.setattr(repair, "_LIMIT", 3)
    calls = virt_v2v("exec sleep 60")
    before = time.monotonic()
    assert repair.measure(tmp_path) == {
        "INSPECT and FIX, seconds": OURS,
        "virt-v2v, seconds": "more than 3",
        "share of virt-v2v": "less than 1/1.5",
    }
    assert 3 <= time.monotonic() - before < 30
    (call,) = calls.read_text().splitlines()
    process, *arguments = call.split()
    assert arguments[:3] == ["-i", "disk", str(tmp_path / "system.raw")]
    with pytest.raises(ProcessLookupError):
        os.kill(int(process), 0)


def test_a_virt_v2v_that_ends_is_run_as_often_as_the_repair(repair, virt_v2v, tmp_path):
    calls = virt_v2v("sleep 0.1")
    figures = repair.measure(tmp_path)
    assert figures["virt-v2v, seconds"] < 60
    assert re.fullmatch(r"1/\d+\.\d", figures["share of virt-v2v"])
    assert len(calls.read_text().splitlines()) == repair._ROUNDS
