"""Events of a conversion in the kubelet's logs, as containerd writes them."""

import json
from types import SimpleNamespace

import pytest

from lab.scenario import moments

TIME = "2026-01-01T00:00:00.000000000Z"


def line(tag: str, text: str, stream: str = "stdout") -> str:
    return f"{TIME} {stream} {tag} {text}\n"


@pytest.fixture
def project(tmp_path):
    """A namespace with the log of one convert pod."""
    log = tmp_path / "vms_web01-convert-x7k2p_uid-1/conversion/0.log"
    log.parent.mkdir(parents=True)
    log.write_text(
        line("F", json.dumps({"type": "StageStarted", "stage": "Fetch"}))
        + line("F", "a warning of somebody else", "stderr")
        + line("P", '{"type": "Report", ')
        + line("F", '"data": "eJw="}')
        + line("F", json.dumps({"type": "StageFinished", "stage": "Fetch"}))
        + line("F", json.dumps({"type": "Progress", "stage": "Convert", "done": 10}))
        + f'{TIME} stdout F {{"type": "StageSta'
    )
    return SimpleNamespace(namespace="vms", cluster=SimpleNamespace(layout=SimpleNamespace(pod_logs=tmp_path)))


def test_lines_in_parts_are_one_and_one_that_is_not_whole_is_not_read(project):
    told = moments.events(project, "web01-convert-x7k2p")
    assert [event["type"] for event in told] == ["StageStarted", "Report", "StageFinished", "Progress"]
    assert told[1]["data"] == "eJw="


def test_a_moment_is_reached_in_the_newest_pod(project):
    assert moments.reach(project, "web01", "Fetch") == "web01-convert-x7k2p"
    assert moments.reach(project, "web01", moments.copied(10)) == "web01-convert-x7k2p"
    assert moments.stages(project, "web01-convert-x7k2p", "StageFinished") == ["Fetch"]
