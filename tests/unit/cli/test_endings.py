"""How commands end: what is the last line, on which stream, with which exit code, and what is left in the workspace."""

import json
import os
import signal
import subprocess
import sys

import pytest

from hyper2kvm.cli import app, options
from hyper2kvm.cli import run as run_command
from hyper2kvm.history import History
from hyper2kvm.workspace import Workspace
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.event import Event
from hyper2kvm_api.manifest import documents
from hyper2kvm_api.reasons import EXIT_INTERRUPTED, EXIT_RETRY, Reason
from lab.command import H2K, INTERRUPTED, h2k
from lab.smallvolume import resize, small_volume
from unit.cli.tiny import MIB, tiny

COMMANDS = {
    "run": ["run"],
    "plan": ["plan", "--json"],
    "inspect": ["inspect", "--json"],
    "fix": ["fix", "--dry-run", "--json"],
}


def arguments(command, file, folder):
    return [*COMMANDS[command], file, "--output", folder / "out"]


def check_failure(ended, code, reason):
    """One Failed event, as the last line of standard output; two lines for a person at the end of standard error."""
    assert ended.code == code, ended.stderr
    assert [event["type"] for event in ended.events].count("Failed") == 1
    last = ended.events[-1]
    assert (last["type"], last["reason"]) == ("Failed", reason)
    assert last["hint"]
    error, hint = ended.stderr.splitlines()[-2:]
    assert error.startswith(f"error {reason}")
    assert hint == f"hint  {last['hint']}"
    assert "Failed" not in [json.loads(line)["type"] for line in ended.stderr.splitlines() if line.startswith("{")]
    return last


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_manifest_is_the_last_line(tmp_path, command):
    check_failure(h2k(*arguments(command, tiny(tmp_path, guest={"trimm": True}), tmp_path)), 2, "UnknownField")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_source_is_the_last_line_with_the_stage(tmp_path, command):
    file = tiny(tmp_path)
    (tmp_path / "source/disk.img").unlink()
    last = check_failure(h2k(*arguments(command, file, tmp_path)), 3, "SourceNotFound")
    assert last["stage"] == "Fetch"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_workspace_in_use_is_the_last_line(tmp_path, command):
    with Workspace(tmp_path / "out/tiny.h2k").lock():
        check_failure(h2k(*arguments(command, tiny(tmp_path), tmp_path)), 9, "WorkspaceLocked")


@pytest.mark.parametrize("command", [*COMMANDS, "boot", "describe"])
def test_a_wrong_command_line_is_the_last_line(tmp_path, command):
    ended = h2k(command, "--json", "--no-such-option", tmp_path / "missing.yaml")
    assert ended.code == 2
    assert [(event["type"], event["reason"]) for event in ended.events] == [("Failed", "CommandLineInvalid")]
    assert "Usage:" in ended.stderr


def test_the_disk_and_the_file_are_told(tmp_path):
    file = tiny(tmp_path)
    (tmp_path / "source/disk.vmdk").write_text(
        '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="monolithicFlat"\n\n'
        'RW 8192 FLAT "missing-flat.vmdk" 0\n'
    )
    vmx = 'displayName = "web01"\nmemsize = "512"\nscsi0.present = "TRUE"\nscsi0:0.fileName = "disk.vmdk"\n'
    (tmp_path / "source/web01.vmx").write_text(vmx)
    file.write_text(file.read_text().replace('"disk.img"', '"web01.vmx"'))
    last = check_failure(h2k("run", file, "--output", tmp_path / "out"), 4, "ExtentMissing")
    assert (last["disk"], last["file"]) == ("scsi0:0", "missing-flat.vmdk")
    kept = [event for event in History(tmp_path / "out/tiny.h2k").events() if event.type == "Failed"]
    assert [event.to_json() for event in kept] == [Event.model_validate(last).to_json()]


def test_describe_tells_its_failure_too(tmp_path):
    file = tiny(tmp_path)
    place = ["--source-root", tmp_path / "elsewhere", "--workspace", tmp_path / "w"]
    check_failure(h2k("describe", file, *place, "--json"), 3, "SourceNotFound")


def test_a_success_is_the_last_line_and_says_what_was_made(tmp_path):
    ended = h2k("run", tiny(tmp_path), "--output", tmp_path / "out")
    assert (ended.code, ended.stderr) == (0, "")
    last = ended.events[-1]
    assert (last["type"], last["message"]) == ("Succeeded", "tiny: migrated")
    assert last["made"] == {
        "disks": [str(tmp_path / "out/tiny-disk0.raw")],
        "domain": str(tmp_path / "out/tiny.xml"),
        "report": str(tmp_path / "out/tiny.h2k/report.html"),
    }


def test_in_a_pod_the_verdict_comes_after_the_report(tmp_path):
    log = tmp_path / "termination-log"
    ended = h2k("run", tiny(tmp_path), "--output", tmp_path / "out", HYPER2KVM_TERMINATION_LOG=str(log))
    assert [event["type"] for event in ended.events[-3:]] == ["Report", "Report", "Succeeded"]
    assert json.loads(log.read_text())["outcome"] == "Succeeded"


def test_the_failure_of_an_inspection_is_named_in_the_report(tmp_path):
    file = tiny(tmp_path)
    (tmp_path / "source/disk.img").unlink()
    h2k("inspect", file, "--output", tmp_path / "out")
    workspace = tmp_path / "out/tiny.h2k"
    assert h2k("report", workspace).code == 0
    assert json.loads((workspace / "report.json").read_text())["name"] == "tiny"


@pytest.fixture
def full(tmp_path):
    """A file system that has room for the workspace and not for the target."""
    with small_volume(tmp_path / "full", "12m") as folder:
        yield folder


def test_a_full_disk_is_told_as_such_with_a_report_and_goes_on_when_there_is_room(tmp_path, full):
    file = tiny(tmp_path, size=24 * MIB)
    last = check_failure(h2k("run", file, "--output", full), 6, "TargetFull")
    assert last["disk"] == "scsi0:0"
    workspace = full / "tiny.h2k"
    assert json.loads((workspace / "result.json").read_text())["document"]["failure"]["reason"] == "TargetFull"
    assert json.loads((workspace / "report.json").read_text())["outcome"] == "Failed"
    assert "TargetFull" in (workspace / "report.html").read_text()
    assert [event.type for event in History(workspace).events()][-1] == "Failed"
    assert not [path for path in workspace.rglob("*") if path.name.endswith(".new") or path.name == "room"]
    resize(full, "80m")
    assert h2k("run", file, "--output", full).code == 0


class Command:
    """h2k in this process."""

    def __init__(self, monkeypatch, capsys):
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *words):
        self._monkeypatch.setattr(sys, "argv", ["h2k", *map(str, words)])
        before = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}
        try:
            app.main()
            code = 0
        except SystemExit as ended:
            code = ended.code
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)
        said = self._capsys.readouterr()
        return code, said.out, said.err


@pytest.fixture
def command(monkeypatch, capsys):
    return Command(monkeypatch, capsys)


def failing(error):
    def fail(*_arguments):
        raise error

    return fail


def result(workspace):
    return json.loads((workspace / "result.json").read_text())["document"]


def test_a_defect_is_told_as_one_and_its_traceback_is_kept(tmp_path, command, monkeypatch):
    monkeypatch.setattr(run_command, "migrate", failing(RuntimeError("boom")))
    log = tmp_path / "termination-log"
    monkeypatch.setenv("HYPER2KVM_TERMINATION_LOG", str(log))
    code, out, err = command("run", tiny(tmp_path), "--output", tmp_path / "out")
    workspace = tmp_path / "out/tiny.h2k"
    assert code == EXIT_RETRY
    last = json.loads(out.splitlines()[-1])
    assert (last["type"], last["reason"]) == ("Failed", "Unexpected")
    assert last["message"] == f"RuntimeError: boom; its traceback is in {workspace / 'traceback.txt'}"
    assert err.splitlines()[-1].startswith("hint  Please report it")
    assert "in _run" in (workspace / "traceback.txt").read_text()
    assert json.loads(log.read_text())["failure"]["reason"] == "Unexpected"
    assert (result(workspace)["outcome"], result(workspace)["failure"]["reason"]) == ("Failed", "Unexpected")
    assert "boom" in (workspace / "report.html").read_text()


def test_a_defect_before_there_is_a_workspace_shows_its_traceback(tmp_path, command, monkeypatch):
    monkeypatch.setattr(options, "read_request", failing(RuntimeError("boom")))
    code, _, err = command("run", tiny(tmp_path))
    assert code == 1
    assert "in run\n" in err
    assert "error Unexpected: RuntimeError: boom; its traceback stands above" in err


def test_what_hinders_the_report_does_not_hide_the_failure(tmp_path, command, monkeypatch):
    monkeypatch.setattr(run_command, "migrate", failing(HostError(Reason.PROGRAM_FAILED, "the real one")))
    monkeypatch.setattr(run_command, "write_report", failing(OSError(5, "Input/output error")))
    code, out, err = command("run", tiny(tmp_path), "--output", tmp_path / "out")
    assert code == 8
    assert "the real one" in err.splitlines()[-2]
    *_, before, last = [json.loads(line) for line in out.splitlines()]
    assert (before["type"], before["reason"], last["reason"]) == ("Warning", "ReportNotWritten", "ProgramFailed")


def test_ctrl_c_is_told_in_one_line_and_kept_as_an_interruption(tmp_path, command, monkeypatch):
    monkeypatch.setattr(run_command, "migrate", failing(KeyboardInterrupt()))
    code, out, err = command("run", tiny(tmp_path), "--output", tmp_path / "out")
    assert (code, err) == (EXIT_INTERRUPTED, INTERRUPTED)
    assert "Failed" not in out
    assert result(tmp_path / "out/tiny.h2k") == {"outcome": "Interrupted", "retry": True, "disks": [], "warnings": []}


WAITING = """
import sys, time
from hyper2kvm.cli import app, run
run.migrate = lambda *_: time.sleep(60)
app.main()
"""


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_run_at_work(tmp_path, kind):
    words = ["run", str(tiny(tmp_path)), "--output", str(tmp_path / "out")]
    with subprocess.Popen(
        [sys.executable, "-c", WAITING, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            if json.loads(line)["type"] == "StageFinished":
                process.send_signal(kind)
                break
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (EXIT_INTERRUPTED, INTERRUPTED)


def test_a_run_that_nobody_reads_any_more_is_interrupted(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as nobody:
        ended = subprocess.run(
            [H2K, "run", str(tiny(tmp_path)), "--output", str(tmp_path / "out")],
            stdout=nobody,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert ended.returncode == EXIT_INTERRUPTED


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["yaml", "json"])
def test_what_plan_prints_is_what_run_takes(tmp_path, form):
    file = tiny(tmp_path, machine={"memory": "1Gi"}, target={"disks": {"format": "qcow2"}})
    printed = h2k("plan", file, "--output", tmp_path / "out", *form)
    plan = tmp_path / "a plan without extension"
    plan.write_text(printed.stdout)
    again = h2k("plan", plan, "--output", tmp_path / "out", *form)
    assert again.stdout == printed.stdout
    ended = h2k("run", plan, "--output", tmp_path / "out")
    assert ended.code == 0, ended.stderr
    assert ended.events[-1]["made"]["disks"] == [str(tmp_path / "out/tiny-disk0.qcow2")]
    assert [event["stage"] for event in ended.events if event["type"] == "StageSkipped"] == ["Fetch"]
    (kept,) = documents("plan.json", (tmp_path / "out/tiny.h2k/plan.json").read_text())
    assert kept["document"] == next(iter(documents("printed", printed.stdout)))


def test_a_plan_with_unknown_keys_is_refused_as_one(tmp_path):
    printed = h2k("plan", tiny(tmp_path), "--output", tmp_path / "out")
    plan = tmp_path / "plan.yaml"
    plan.write_text(printed.stdout.replace("domainXml:", "domain:"))
    last = check_failure(h2k("run", plan, "--output", tmp_path / "out"), 2, "UnknownField")
    assert "unknown field domain (did you mean domainXml?)" in last["message"]
