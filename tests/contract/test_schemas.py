"""What a run writes is what crds/schemas says: plan, events, result and report, of a success and of a failure."""

import json
from pathlib import Path

import pytest

from contract.schemas import problems
from lab.command import h2k
from unit.cli.tiny import tiny

SCHEMAS = Path(__file__).parents[2] / "crds/schemas"


def schema(name):
    return json.loads((SCHEMAS / f"{name}.json").read_text())


def valid(name, value):
    assert list(problems(schema(name), value)) == []


@pytest.fixture(scope="module", params=["success", "failure", "dry run"])
def ended(request, tmp_path_factory):
    """A run in a pod, its folder, and whether it succeeded."""
    folder = tmp_path_factory.mktemp("run")
    file = tiny(folder, **({"mode": "Plan"} if request.param == "dry run" else {}))
    if request.param == "failure":
        (folder / "out").mkdir()
        (folder / "out/tiny-disk0.raw").touch()
    log = folder / "termination-log"
    done = h2k("run", file, "--output", folder / "out", HYPER2KVM_TERMINATION_LOG=str(log))
    assert (done.code == 0) == (request.param != "failure"), done.stderr
    return done, folder


def test_events_are_valid(ended):
    done, _ = ended
    assert {event["type"] for event in done.events} >= {"StageStarted", "Report"}
    for event in done.events:
        valid("event", event)


def test_the_verdict_is_valid(ended):
    _, folder = ended
    valid("result", json.loads((folder / "termination-log").read_text()))
    valid("result", json.loads((folder / "out/tiny.h2k/result.json").read_text())["document"])


def test_the_plan_and_its_machine_are_valid(ended):
    _, folder = ended
    plan = json.loads((folder / "out/tiny.h2k/plan.json").read_text())["document"]
    valid("plan", plan)
    valid("machine", plan["machine"])


def test_the_report_is_valid(ended):
    _, folder = ended
    valid("report", json.loads((folder / "out/tiny.h2k/report.json").read_text()))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"type": "Note"}, "lacks one of"),
        ({"time": "t", "type": "Note", "colour": "red"}, "colour is not declared"),
        ({"time": "t", "type": "Musing"}, "is none of"),
        ({"time": 1, "type": "Note"}, "$.time: 1 is no string"),
        ({"time": "t", "type": "Progress", "done": -1}, "fits none of"),
        ({"time": "t", "type": "Machine", "machine": {"name": "x", "memory": 1, "disks": []}}, "fits none of"),
    ],
)
def test_what_is_not_valid_is_told(value, said):
    assert any(said in problem for problem in problems(schema("event"), value))
