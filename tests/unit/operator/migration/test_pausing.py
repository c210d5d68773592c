"""Suspend, resume, and the slot that a resumed migration needs."""

import pytest

from hyper2kvm_api.migration import Blocked, Phase
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.reconcile.migration.decide import decide
from hyper2kvm_operator.reconcile.migration.decision import Merge
from hyper2kvm_operator.reconcile.migration.observed import JobOutcome
from unit.operator.situations import RESULT, WRITTEN, job, later, make_spec, make_status, observed, pod

SUSPEND = {"metadata": {"annotations": {"hyper2kvm.io/suspended": "true"}}, "spec": {"suspend": True}}
RESUME = {"metadata": {"annotations": {"hyper2kvm.io/suspended": None}}, "spec": {"suspend": False}}


def hold(name, patch):
    return (Merge(Resources.JOB.value, name, patch),)


@pytest.mark.parametrize(("phase", "role"), [(Phase.PLANNING, "plan"), (Phase.CONVERTING, "convert")])
def test_suspending_holds_the_job_and_resuming_lets_it_go_on(phase, role):
    running = job(role, pod=pod(running=True))
    o = observed(phase, make_spec(suspend=True), **{f"{role}_job": running})
    held = decide(o)
    assert held.actions == hold(f"web01-{role}", SUSPEND)
    assert held.status.phase is phase
    assert held.status.blocked.reason == "Suspended"
    changes = {f"{role}_job": job(role, suspended=True, held=True)}
    assert not decide(later(o, held, 5, **changes)).actions
    resumed = decide(later(o, held, 9, suspend=False, spec=make_spec(), **changes))
    assert resumed.actions == hold(f"web01-{role}", RESUME)
    assert resumed.status.blocked is None


@pytest.mark.parametrize("phase", [Phase.PROVISIONING, Phase.HANDING_OFF])
def test_phases_without_a_job_stand_still(phase):
    decision = decide(observed(phase, make_spec(suspend=True)))
    assert not decision.actions
    assert decision.status.phase is phase
    assert decision.status.progress == "suspended"


def test_what_has_ended_is_taken_in_before_work_is_held():
    done = job(outcome=JobOutcome.SUCCEEDED, pod=pod(exit_code=0, result=RESULT))
    decision = decide(observed(Phase.CONVERTING, make_spec(suspend=True), convert_job=done, claims=WRITTEN))
    assert decision.status.phase is Phase.HANDING_OFF


def test_a_resumed_migration_waits_for_a_slot():
    blocked = Blocked(reason="Suspended", message="suspended", since="2026-01-01T00:00:00Z")
    status = make_status(Phase.CONVERTING, blocked=blocked)
    o = observed(status=status, convert_job=job(suspended=True, held=True), free_slot=False, ahead=2)
    waiting = decide(o)
    assert not waiting.actions
    assert waiting.status.blocked.reason == "WaitingForSlot"
    assert "2 before this one" in waiting.status.progress
    assert decide(later(o, waiting, 60, free_slot=True)).actions == hold("web01-convert", RESUME)


def test_a_job_that_a_queueing_system_holds_is_left_to_it():
    o = observed(Phase.CONVERTING, convert_job=job(suspended=True))
    decision = decide(o)
    assert not decision.actions
    assert decision.status.blocked.reason == "Queued"
    assert decide(later(o, decision, 1_000_000)).status.phase is Phase.CONVERTING


def test_suspending_what_a_queueing_system_holds_is_not_undone_by_resuming():
    o = observed(Phase.CONVERTING, make_spec(suspend=True), convert_job=job(suspended=True))
    held = decide(o)
    assert not held.actions
    assert not decide(later(o, held, 5, suspend=False, spec=make_spec())).actions
