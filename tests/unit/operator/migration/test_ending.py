from dataclasses import replace

import pytest

from hyper2kvm_api.errors import SpecError
from hyper2kvm_api.migration import Failure, Phase
from hyper2kvm_api.reasons import Reason
from hyper2kvm_operator.reconcile.migration.decide import decide
from hyper2kvm_operator.reconcile.migration.decision import (
    Delete,
    SetFinalizer,
)
from hyper2kvm_operator.reconcile.migration.observed import (
    JobOutcome,
)
from unit.operator.situations import (
    DISKS,
    IMPORT,
    MACHINE,
    RESULT,
    claim,
    job,
    kinds,
    later,
    make_spec,
    make_status,
    observed,
    pod,
)


def test_an_edit_starts_a_failed_migration_again_and_removes_its_jobs_first():
    failed = make_status(Phase.FAILED)
    again = decide(observed(status=failed, generation=2, edited=True))
    assert again.status.phase is Phase.PENDING
    left = job(outcome=JobOutcome.FAILED)
    cleaning = decide(observed(status=again.status, generation=2, convert_job=left))
    assert kinds(cleaning, Delete) == [("Job", "web01-convert")]
    assert cleaning.status.phase is Phase.PENDING


def test_a_failed_migration_that_is_held_or_resumed_stays_what_it_is():
    """As by a patch of all migrations before the cluster is maintained: what has failed is told on, and nothing starts."""
    failure = Failure(reason="BootFailed", message="no")
    held = decide(observed(status=make_status(Phase.FAILED, failure=failure), generation=2, suspend=True))
    assert (held.status.phase, held.status.failure) == (Phase.FAILED, failure)
    assert held.status.observed_generation == 2


def test_the_spec_of_an_earlier_attempt_is_forgotten_when_another_one_cannot_begin():
    """An edit back to it is another try then."""
    status = make_status(Phase.PENDING, effective_spec="source: {}")
    forbidden = {"source": {"files": {"volume": {"hostPath": {"path": "/srv"}}, "path": "web01.ova"}}}
    failed = decide(observed(status=status, spec=make_spec(**forbidden)))
    assert failed.status.failure.reason == "HostPathForbidden"
    assert failed.status.effective_spec is None


def test_what_an_earlier_attempt_told_is_not_shown_of_the_next():
    failure = Failure(reason="HandoffFailed", message="no")
    failed = make_status(Phase.FAILED, failure=failure, percent=100, boot=RESULT.boot)
    o = observed(status=failed, generation=2, edited=True)
    again = decide(o)
    assert again.status.failure is None
    planning = decide(later(o, again, 1)).status
    assert (planning.phase, planning.percent, planning.boot) == (Phase.PLANNING, None, None)


def test_without_an_edit_a_failed_migration_rests():
    decision = decide(observed(status=make_status(Phase.FAILED), finalizer=False))
    assert decision.requeue is None
    assert not decision.actions


@pytest.mark.parametrize("phase", [Phase.PLANNING, Phase.PROVISIONING, Phase.CONVERTING, Phase.HANDING_OFF])
def test_cancelling_removes_what_was_not_handed_off(phase):
    disks = [DISKS[0].replaced(handed_off=True), DISKS[1]]
    own = tuple(claim(name) for name in ("web01-disk0", "web01-disk1", "web01-workspace"))
    status = make_status(phase, disks=disks, machine=MACHINE)
    o = observed(spec=make_spec(cancel=True), status=status, claims=own, convert_job=job(pod=pod(running=True)))
    decision = decide(o)
    assert decision.status.phase is Phase.CANCELLED
    assert kinds(decision, Delete) == [
        ("Job", "web01-convert"),
        ("PersistentVolumeClaim", "web01-disk1"),
        ("PersistentVolumeClaim", "web01-workspace"),
    ]


def test_no_pod_goes_on_when_the_spec_of_a_migration_at_work_is_not_understood():
    """As after a rollback to a version that does not know a word of it."""
    spec = SpecError(Reason.INVALID_SPEC, "status.effectiveSpec: a word of a newer version")
    converting = observed(spec=spec, status=make_status(Phase.CONVERTING), convert_job=job())
    decision = decide(converting)
    assert (decision.status.phase, decision.status.failure.reason) == (Phase.FAILED, "InvalidSpec")
    assert kinds(decision, Delete) == [("Job", "web01-convert")]
    ended = decide(replace(converting, convert_job=job(outcome=JobOutcome.FAILED)))
    assert kinds(ended, Delete) == []


def test_success_cannot_be_cancelled():
    decision = decide(observed(spec=make_spec(cancel=True), status=make_status(Phase.SUCCEEDED), generation=2))
    assert decision.status.phase is Phase.SUCCEEDED


def test_deletion_waits_until_no_pod_works():
    busy = decide(observed(Phase.CONVERTING, deleting=True, convert_job=job(), pods=1))
    assert kinds(busy, Delete) == [("Job", "web01-convert")]
    assert not any(isinstance(a, SetFinalizer) for a in busy.actions)
    gone = decide(observed(Phase.CONVERTING, deleting=True))
    assert gone.actions[-1] == SetFinalizer(present=False)


CLEAN = {"cleanup": {"workspace": "OnSuccess", "jobs": "OnSuccess", "artifacts": "OnSuccess"}}
OWN = tuple(claim(n) for n in ("web01-workspace", "web01-disk0-artifact"))


@pytest.mark.parametrize(
    ("target", "removed"),
    [(IMPORT, ["web01-workspace", "web01-disk0-artifact"]), ({"target": {"handoff": "None"}}, ["web01-workspace"])],
    ids=["Import", "None"],
)
def test_cleanup_after_success_removes_what_the_user_names_and_never_the_result(target, removed):
    done = job(outcome=JobOutcome.SUCCEEDED)
    o = observed(spec=make_spec(**target, **CLEAN), status=make_status(Phase.SUCCEEDED), claims=OWN, convert_job=done)
    assert kinds(decide(o), Delete) == [
        ("Job", "web01-convert"),
        *(("PersistentVolumeClaim", name) for name in removed),
    ]


def test_a_look_at_an_unchanged_migration_changes_nothing():
    for phase in (Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED):
        spec = make_spec(cancel=phase is Phase.CANCELLED)
        first = decide(observed(spec=spec, status=make_status(phase), finalizer=False))
        second = decide(observed(spec=spec, status=first.status, finalizer=False))
        assert second.status == first.status
        assert not second.actions


def test_a_migration_at_rest_needs_no_operator_to_be_deleted():
    at_rest = observed(status=make_status(Phase.SUCCEEDED))
    assert decide(at_rest).actions == (SetFinalizer(present=False),)
    assert not decide(replace(at_rest, pods=1)).actions
    serving = decide(replace(at_rest, serve_pod=pod(running=True)))
    assert not any(isinstance(one, SetFinalizer) for one in serving.actions)


@pytest.mark.parametrize("edited", [True, False])
def test_a_dry_run_may_be_edited_into_a_migration(edited):
    o = observed(spec=make_spec(mode="Plan"), status=make_status(Phase.SUCCEEDED), edited=edited, generation=2)
    assert decide(o).status.phase is (Phase.PENDING if edited else Phase.SUCCEEDED)


def test_success_stays_whatever_becomes_of_the_profiles():
    gone = SpecError(Reason.PROFILE_NOT_FOUND, "gone")
    decision = decide(observed(spec=gone, status=make_status(Phase.SUCCEEDED), generation=2))
    assert decision.status.phase is Phase.SUCCEEDED


def test_taking_a_cancellation_back_waits_until_everything_is_removed():
    left = observed(status=make_status(Phase.CANCELLED), claims=(claim("web01-workspace"),))
    assert decide(left).status.phase is Phase.CANCELLED
    assert decide(replace(left, claims=())).status.phase is Phase.PLANNING


def test_nothing_that_took_a_name_is_deleted():
    decision = decide(observed(Phase.CONVERTING, deleting=True, convert_job=job(), claims=(claim("web01-disk0"),)))
    assert {(one.name, one.uid) for one in decision.actions} == {
        ("web01-convert", "uid-convert"),
        ("web01-disk0", "uid-web01-disk0"),
    }
