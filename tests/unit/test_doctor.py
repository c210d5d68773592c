"""What `h2k doctor` finds, and what it says of it."""

import json
import re

import pytest

from hyper2kvm import doctor
from hyper2kvm.accelerator import probe
from hyper2kvm.doctor import Place, checks
from hyper2kvm.run import PACKAGES
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from lab.command import h2k


@pytest.fixture
def appliance(monkeypatch):
    """An appliance that ends as it is told; the real one takes tens of seconds (tests/guests/appliance/test_launch.py)."""
    outcome = []

    def start():
        if outcome:
            raise outcome[0]
        return True, "starts"

    monkeypatch.setattr(doctor, "_appliance", start)
    return outcome


def found(tmp_path):
    return {check.name: check for check in checks([Place("targets", tmp_path / "not/yet/made")])}


def test_a_program_that_is_not_on_the_path_is_named_with_its_package(tmp_path, monkeypatch, appliance):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "qemu-img").touch(mode=0o755)
    seen = found(tmp_path)
    assert seen["qemu-img"].well
    assert not seen["qemu-nbd"].well
    assert (seen["qemu-nbd"].found, seen["qemu-nbd"].remedy) == (
        "missing",
        "Install the package qemu-utils (Debian's name).",
    )
    assert (seen["lzop"].needed, seen["lzop"].found) == (
        False,
        "missing, for guests whose initramfs is compressed with LZO",
    )


def test_every_program_that_is_started_is_looked_for(tmp_path, appliance):
    assert set(PACKAGES) <= set(found(tmp_path))


def test_the_remedy_of_a_failing_appliance_is_not_to_run_the_doctor(tmp_path, appliance):
    appliance.append(HostError(Reason.APPLIANCE_FAILED, "supermin: no kernel"))
    check = found(tmp_path)["Appliance"]
    assert (check.well, check.needed, check.found) == (False, True, "supermin: no kernel")
    assert "h2k doctor" not in check.remedy
    assert "a kernel in /boot" in check.remedy


def test_a_better_remedy_is_kept(tmp_path, appliance):
    appliance.append(HostError(Reason.APPLIANCE_FAILED, "no access", hint="chmod it."))
    assert found(tmp_path)["Appliance"].remedy == "chmod it."


def test_space_is_that_of_the_nearest_folder_that_is_there(tmp_path, appliance):
    assert found(tmp_path)["Space for targets"].found.endswith(f"free in {tmp_path}")


def test_the_command_ends_with_the_reason_of_what_is_missing_first(tmp_path):
    (tmp_path / "bin").mkdir()
    ended = h2k(
        "doctor", "--json", "--output", tmp_path / "out", "--workspace", tmp_path / "w", PATH=str(tmp_path / "bin")
    )
    *seen, last = [json.loads(line) for line in ended.stdout.splitlines()]
    assert (ended.code, last["type"], last["reason"]) == (8, "Failed", "ProgramMissing")
    assert last["message"].startswith("migrations do not work here: qemu-img, qemu-nbd, ")
    assert "Appliance" in last["message"]
    assert last["hint"] == "Install the package qemu-utils (Debian's name)."
    assert {check["name"] for check in seen} >= {"Space for targets", "Space for the workspace", "KVM"}


def test_a_person_reads_what_is_missing_with_its_remedy_below_it(tmp_path):
    (tmp_path / "bin").mkdir()
    ended = h2k("doctor", "--output", tmp_path / "out", PATH=str(tmp_path / "bin"))
    remedy = "Install the package qemu-utils (Debian's name)."
    assert f"✗ {'qemu-img':32} missing\n    {remedy}\n" in ended.stdout
    assert f"! {'lzop':32} missing, for guests whose initramfs is compressed with LZO\n" in ended.stdout
    error, hint = ended.stderr.splitlines()
    assert (ended.code, hint) == (8, f"hint  {remedy}")
    assert error.startswith("error ProgramMissing: migrations do not work here: qemu-img, ")


@pytest.mark.appliance
def test_a_sound_machine_is_shown_in_a_line_for_each_check(tmp_path):
    ended = h2k("doctor", "--output", tmp_path / "out", "--workspace", tmp_path / "w")
    assert (ended.code, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    # Found out anew: the command may just have asked a no again.
    probe.cache_clear()
    kvm = probe()
    assert f"{'✓' if kvm.accelerator == 'kvm' else '!'} {'KVM':32} {kvm.why}" in lines
    starts = rf"✓ Appliance +starts in .+ s \({kvm.accelerator}\)"
    assert [line for line in lines if re.fullmatch(starts, line)] == lines[-1:]
    for purpose in ("targets", "the workspace", "temporary files"):
        assert any(re.fullmatch(rf"[✓!] Space for {purpose} +[\d.]+ \w+ free in /.*", line) for line in lines), purpose
    assert not [line for line in lines if line.startswith("✗")]
