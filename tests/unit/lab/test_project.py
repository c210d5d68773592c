"""How tests of the cluster look at a migration."""

from types import SimpleNamespace

import pytest

from hyper2kvm_api.errors import HostError
from lab.scenario.project import Project


@pytest.fixture
def answers():
    return []


@pytest.fixture
def project(answers):
    return Project(SimpleNamespace(get=lambda *_: answers.pop(0)), "vms")


def seen(generation: int, **status):
    return {"metadata": {"generation": generation}, "status": status}


def test_a_phase_counts_when_the_operator_has_seen_the_specification_as_it_is_now(project, answers):
    answers += [
        None,
        seen(2),
        seen(2, observedGeneration=1, phase="Succeeded"),
        seen(2, observedGeneration=2, phase="Converting"),
        seen(2, observedGeneration=2, phase="Succeeded", attempts=1),
    ]
    assert project.wait_phase("web01", "Succeeded")["attempts"] == 1
    assert answers == []


def test_another_end_is_told_at_once(project, answers):
    answers.append(seen(1, observedGeneration=1, phase="Failed", failure={"reason": "TargetFull"}))
    with pytest.raises(HostError, match=r"does not reach Succeeded: .*TargetFull"):
        project.wait_phase("web01", "Succeeded")


def test_what_is_not_there_has_no_status(project, answers):
    answers.append(None)
    assert project.status("web01") == {}
