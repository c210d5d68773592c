"""The commands as users type them: which files and folders they take, and what they print."""

import json
import re
import sys
from itertools import pairwise

import pytest
import yaml

from hyper2kvm_api.stage import Stage
from lab.command import h2k, h2k_on_a_terminal, manifest
from unit.cli.tiny import COPIED, MIB, tiny
from unit.stages.cases import make_source

PROFILES = """
apiVersion: hyper2kvm.io/v1alpha1
kind: MigrationProfile
metadata: {name: base}
spec: {guest: {serialConsole: true, trim: false}, machine: {memory: 1Gi}}
---
apiVersion: hyper2kvm.io/v1alpha1
kind: MigrationProfile
metadata: {name: team}
spec: {guest: {serialConsole: null}, machine: {memory: 3Gi}}
"""


@pytest.fixture
def layered(tmp_path):
    """A migration with two profiles in a file of their own."""
    (tmp_path / "profiles.yaml").write_text(PROFILES)
    return [tiny(tmp_path, profiles=["base", "team"]), tmp_path / "profiles.yaml", "--output", tmp_path / "out"]


def test_profiles_are_given_as_files(layered):
    ended = h2k("plan", *layered)
    assert ended.code == 0, ended.stderr
    plan = yaml.safe_load(ended.stdout)
    assert (plan["guest"]["trim"], plan["guest"]["serialConsole"]) == (False, False)
    assert plan["machine"]["memory"] == 3 << 30


def test_the_effective_spec_is_printed_without_looking_at_the_source(layered, tmp_path):
    (tmp_path / "source/disk.img").unlink()
    ended = h2k("plan", "--effective", *layered)
    assert (ended.code, ended.stderr) == (0, "")
    spec = yaml.safe_load(ended.stdout)
    assert spec["machine"] == {"memory": "3Gi"}
    assert spec["profiles"] == ["base", "team"]
    assert json.loads(h2k("plan", "--effective", "--json", *layered).stdout) == spec


def test_a_profile_that_is_not_given_is_named(layered):
    del layered[1]
    ended = h2k("plan", *layered)
    assert ended.code == 2
    assert "error ProfileNotFound: spec.profiles: 'base' is not among the given profiles (none)" in ended.stderr


def on_a_claim(tmp_path, **spec):
    file = tiny(tmp_path, **spec)
    value = json.loads(file.read_text())
    value["spec"]["source"]["files"]["volume"] = {"persistentVolumeClaim": {"claimName": "exports"}}
    file.write_text(json.dumps(value))
    return file


def test_a_claim_lies_where_the_command_line_says(tmp_path):
    file = on_a_claim(tmp_path)
    missing = h2k("plan", file, "--output", tmp_path / "out")
    assert missing.code == 2
    assert "hint  Say where its content lies here: --volume exports=FOLDER." in missing.stderr
    ended = h2k("plan", file, "--volume", f"exports={tmp_path / 'source'}", "--output", tmp_path / "out")
    assert yaml.safe_load(ended.stdout)["source"]["path"] == str(tmp_path / "source/disk.img")


def test_an_nfs_export_lies_where_the_command_line_says(tmp_path):
    file = on_a_claim(tmp_path)
    nfs = '{"nfs": {"server": "files", "path": "/exports"}}'
    file.write_text(file.read_text().replace('{"persistentVolumeClaim": {"claimName": "exports"}}', nfs))
    ended = h2k("plan", file, "--volume", f"files:/exports={tmp_path / 'source'}", "--output", tmp_path / "out")
    assert yaml.safe_load(ended.stdout)["source"]["path"] == str(tmp_path / "source/disk.img")


def test_a_secret_lies_where_the_command_line_says(tmp_path):
    file = tiny(tmp_path, guest={"whenUnsupported": "Copy", "keys": {"secretName": "luks"}})
    missing = h2k("plan", file, "--output", tmp_path / "out")
    assert (missing.code, "SecretNotMapped" in missing.stderr) == (2, True)
    ended = h2k("plan", file, "--secret", f"luks={tmp_path}", "--output", tmp_path / "out")
    assert yaml.safe_load(ended.stdout)["keysFolder"] == str(tmp_path)


@pytest.mark.parametrize("given", ["exports", "=folder", "exports=/no/such/folder"])
def test_a_mapping_names_a_folder_that_is_there(tmp_path, given):
    ended = h2k("plan", on_a_claim(tmp_path), "--volume", given)
    assert ended.code == 2
    assert "is not NAME=FOLDER with an existing folder" in ended.stderr


def test_inspect_prints_what_is_inside(tmp_path):
    ended = h2k("inspect", tiny(tmp_path), "--output", tmp_path / "out", "--json")
    assert ended.code == 0, ended.stderr
    (guest,) = ended.events
    assert guest["firmware"] == "bios"


def test_fix_prints_what_it_would_do(tmp_path):
    ended = h2k("fix", "--dry-run", tiny(tmp_path), "--output", tmp_path / "out")
    assert ended.code == 0, ended.stderr
    assert "copied" in ended.stdout
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["tiny.h2k"]


def test_a_dry_run_ends_with_a_report_and_without_disks(tmp_path):
    ended = h2k("run", tiny(tmp_path, mode="Plan"), "--output", tmp_path / "out")
    assert ended.code == 0, ended.stderr
    assert ended.events[-1]["message"] == "tiny: examined"
    assert ended.events[-1]["made"] == {"disks": [], "report": str(tmp_path / "out/tiny.h2k/report.html")}


def test_a_report_is_made_again_and_its_files_named(tmp_path):
    h2k("run", tiny(tmp_path), "--output", tmp_path / "out")
    workspace = tmp_path / "out/tiny.h2k"
    (workspace / "report.html").unlink()
    ended = h2k("report", workspace)
    assert ended.stdout.splitlines() == [str(workspace / "report.json"), str(workspace / "report.html")]
    assert (workspace / "report.html").is_file()


def test_a_folder_that_is_no_workspace_gets_no_report(tmp_path):
    ended = h2k("report", tmp_path)
    assert ended.code == 8
    assert f"error WorkspaceUnusable: {tmp_path} is no workspace" in ended.stderr
    assert list(tmp_path.iterdir()) == []


COMMANDS_OF_TERMINALS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def test_on_a_terminal_stages_are_lines_and_the_end_a_summary(tmp_path):
    code, written = h2k_on_a_terminal("run", tiny(tmp_path, size=32 * MIB), "--output", tmp_path / "out")
    text = COMMANDS_OF_TERMINALS.sub("", written)
    assert code == 0, text
    lines = [line.strip() for line in text.replace("\r", "\n").splitlines()]
    for stage in ("Fetch", "Flatten", "Inspect", "Fix", "Convert", "Validate"):
        assert any(re.fullmatch(rf"{stage}\s+✓ \d+\.\d s", line) for line in lines), stage
    assert any(line.startswith("scsi0:0") and "%" in line for line in lines)
    assert f"disk       {tmp_path / 'out/tiny-disk0.raw'}" in lines
    assert f"report     {tmp_path / 'out/tiny.h2k/report.html'}" in lines
    assert '{"time"' not in text


def test_a_terminal_gets_json_lines_when_they_are_asked_for(tmp_path):
    code, written = h2k_on_a_terminal("run", "--json", tiny(tmp_path), "--output", tmp_path / "out")
    assert code == 0, written
    events = [json.loads(line) for line in written.splitlines()]
    assert [event["stage"] for event in events if event["type"] == "StageFinished"] == list(Stage)
    assert events[-1]["type"] == "Succeeded"


SLOW_COPYING = """
import time
from hyper2kvm.disk import copy
class Slow(copy.Connection):
    def read(self, *arguments):
        time.sleep(0.5)
        return super().read(*arguments)
copy.Connection = Slow
from hyper2kvm.cli import main
main()
"""
"""`h2k` with a slow disk under the source."""


def test_on_a_terminal_each_disk_has_a_bar_with_its_bytes_the_rate_and_the_time_that_is_left(tmp_path):
    make_source(tmp_path / "source", disks=2, size=40 * MIB)
    file = manifest(tmp_path, "web01", tmp_path / "source", ".", **COPIED)
    program = (sys.executable, "-c", SLOW_COPYING)
    code, written = h2k_on_a_terminal("run", file, "--output", tmp_path / "out", program=program)
    text = COMMANDS_OF_TERMINALS.sub("", written)
    assert code == 0, text
    copying = re.search(r"Convert +…(.*)Convert +✓", text, re.DOTALL)[1]
    bar = r" [━╸╺ ]+(\d+)% +(\d+\.\d)/20\.0 MiB +\d+\.\d [kMG]B/s +\d+:\d\d:\d\d"
    first, second = "scsi0:0", "scsi0:1"
    for disk in (first, second):
        shown = [(int(percent), float(done)) for percent, done in re.findall(disk + bar, copying)]
        assert shown, copying
        assert all(0 < done <= 20 and abs(percent - done * 5) <= 1 for percent, done in shown), shown
    drawn = [line.split()[0] for line in copying.replace("\r", "\n").splitlines() if "%" in line]
    assert {(first, second), (second, first)} <= set(pairwise(drawn)), "one after the other, not side by side"


HOSTILE = "\x1b]0;owned\x07[bold]web\x1b[2J\u202e\x9b31m"


def hostile(tmp_path):
    """A VMX whose texts have commands for terminals, and markup, in them."""
    file = tiny(tmp_path)
    vmx = f'displayName = "{HOSTILE}"\nmemsize = "512"\nscsi0.present = "TRUE"\nscsi0:0.fileName = "{HOSTILE}.vmdk"\n'
    (tmp_path / "source/web01.vmx").write_text(vmx)
    file.write_text(file.read_text().replace('"disk.img"', '"web01.vmx"'))
    return file


def test_what_a_source_says_commands_no_terminal(tmp_path):
    code, written = h2k_on_a_terminal("run", hostile(tmp_path), "--output", tmp_path / "out")
    assert code in {3, 4}
    assert "[bold]web" in written
    rest = COMMANDS_OF_TERMINALS.sub("", written.replace("\r", ""))
    assert not [c for c in rest if not c.isprintable() and c not in "\n\t"]
    assert "\x1b]0" not in written
    assert "\x1b[2J" not in written
    ended = h2k("run", hostile(tmp_path), "--output", tmp_path / "out2")
    assert not [c for c in ended.stderr if not c.isprintable() and c != "\n"]
