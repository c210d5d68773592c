import datetime as dt
import json
from dataclasses import replace

import pytest

from hyper2kvm_api.errors import GuestError, HostError
from hyper2kvm_api.migration import Failure, Mode, Phase
from hyper2kvm_api.options import KvmMode
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.result import Outcome, Result, failure_of
from hyper2kvm_api.stage import Stage
from hyper2kvm_operator.build.job import CONTENT_DIGEST, PLAN_DIGEST, Kvm
from hyper2kvm_operator.reconcile.migration.decide import decide
from hyper2kvm_operator.reconcile.migration.decision import (
    Apply,
    Delete,
    Ensure,
)
from hyper2kvm_operator.reconcile.migration.observed import (
    JobOutcome,
    Trouble,
)
from hyper2kvm_operator.reconcile.migration.phases import converting
from hyper2kvm_operator.reconcile.migration.phases.converting import kvm_mode
from hyper2kvm_operator.reconcile.migration.progress import Progress
from unit.newer import newer
from unit.operator.situations import (
    CDI,
    DISKS,
    NOW,
    RESULT,
    SETTINGS,
    WRITTEN,
    claim,
    condition,
    job,
    kinds,
    later,
    make_spec,
    make_status,
    observed,
    pod,
)

WORKSPACE = claim("web01-workspace")

TROUBLES = [
    (
        Trouble("FailedCreate", 'pods "x" is forbidden: violates PodSecurity "restricted:latest"'),
        "PodSecurityForbidden",
    ),
    (Trouble("FailedCreate", 'pods "x" is forbidden: exceeded quota: q'), "QuotaExceeded"),
    (Trouble("ImagePullBackOff", "Back-off pulling image"), "ImagePullFailed"),
    (Trouble("ErrImageNeverPull", "not present with pull policy of Never"), "ImagePullFailed"),
    (Trouble("FailedMount", 'MountVolume.SetUp failed for volume "keys" : secret "luks" not found'), "SecretMissing"),
    (Trouble("Unschedulable", '0/1 nodes: persistentvolumeclaim "exports" not found'), "SourceVolumeMissing"),
    (Trouble("Unschedulable", "0/1 nodes: pod has unbound immediate PersistentVolumeClaims"), "ClaimNotBound"),
    (Trouble("Unschedulable", "0/1 nodes are available: 1 Insufficient memory"), "PodUnschedulable"),
    (Trouble("CreateContainerError", "no such device"), "PodNotStarted"),
    (
        Trouble("FailedCreate", 'pods "x" is forbidden: unable to validate against any security context constraint'),
        "PodSecurityForbidden",
    ),
    (
        Trouble(
            "FailedCreate", 'pods "x" is forbidden: error looking up service account: serviceaccount "b" not found'
        ),
        "ServiceAccountMissing",
    ),
]


def test_the_job_is_made_for_the_plan():
    decision = decide(observed(Phase.CONVERTING))
    assert kinds(decision, Apply) == [("ConfigMap", "web01-plan")]
    assert kinds(decision, Ensure) == [("Job", "web01-convert")]


def test_progress_is_shown():
    told = Progress("Convert", {"scsi0:0": (300, 1000), "scsi0:1": (0, 1000)}, 50 << 20, ("LowSpace: a",))
    decision = decide(observed(Phase.CONVERTING, convert_job=job(pod=pod(running=True)), progress=told))
    assert (decision.status.stage, decision.status.percent) == ("Convert", 15)
    assert decision.status.progress == "Convert 15 % 50 MiB/s"
    assert [(d.copied, d.total) for d in decision.status.disks] == [(300, 1000), (0, 1000)]
    assert decision.status.warnings == ["LowSpace: a"]
    assert decision.requeue


@pytest.mark.parametrize(("trouble", "reason"), TROUBLES)
def test_a_pod_that_does_not_start_says_why_and_fails_in_the_end(trouble, reason):
    stuck = job(pod=pod(age=25, trouble=trouble))
    o = observed(Phase.CONVERTING, convert_job=stuck)
    first = decide(o)
    assert first.status.phase is Phase.CONVERTING
    assert condition(first, "Converted").reason == reason
    assert first.occurrences
    assert not decide(later(o, first, 40)).occurrences
    ended = decide(later(o, first, SETTINGS.start_deadline + 1))
    assert ended.status.failure.reason == reason
    assert trouble.message in ended.status.failure.message
    assert kinds(ended, Delete) == [("Job", "web01-convert")]


@pytest.mark.parametrize(("trouble", "reason"), TROUBLES)
def test_a_pod_that_takes_over_late_has_as_much_time_as_the_first(trouble, reason):
    """A node is drained hours after the start, or a migration is resumed after days."""
    late = observed(Phase.CONVERTING, since=100_000, convert_job=job(failed=1, pod=pod(age=25, trouble=trouble)))
    assert decide(late).status.phase is Phase.CONVERTING
    no_pod = observed(Phase.CONVERTING, since=100_000, convert_job=job(trouble=trouble))
    assert decide(no_pod).status.phase is Phase.CONVERTING


def test_a_trouble_that_follows_another_has_its_own_time():
    o = observed(Phase.CONVERTING, convert_job=job(pod=pod(age=25, trouble=TROUBLES[7][0])))
    waited = decide(later(o, decide(o), SETTINGS.start_deadline - 1))
    pulling = job(pod=pod(age=600, trouble=TROUBLES[2][0]))
    assert decide(later(o, waited, 5, convert_job=pulling)).status.phase is Phase.CONVERTING


@pytest.mark.parametrize(("row", "patient"), [(0, False), (2, True), (3, False), (4, False), (5, False), (7, True)])
def test_what_only_a_person_can_end_is_not_waited_for_long(row, patient):
    o = observed(Phase.CONVERTING, convert_job=job(pod=pod(trouble=TROUBLES[row][0])))
    after_a_minute = decide(later(o, decide(o), 60))
    assert (after_a_minute.status.failure is None) is patient


@pytest.mark.parametrize("name", ["web01-disk1", "web01-workspace"])
def test_a_claim_that_somebody_deletes_before_the_pod_starts_is_made_again(name):
    trouble = Trouble("Unschedulable", f'0/1 nodes: persistentvolumeclaim "{name}" not found')
    early, late = (job(pod=pod(age=age, trouble=trouble)) for age in (3, 25))
    assert decide(observed(Phase.CONVERTING, convert_job=early)).status.phase is Phase.CONVERTING
    decision = decide(observed(Phase.CONVERTING, convert_job=late))
    assert decision.status.phase is Phase.PROVISIONING
    assert kinds(decision, Delete) == [("Job", "web01-convert")]


def test_a_pod_that_starts_clears_what_was_told():
    o = observed(Phase.CONVERTING, convert_job=job(pod=pod(age=25, trouble=TROUBLES[7][0])))
    first = decide(o)
    assert first.status.blocked.reason == "PodUnschedulable"
    going = decide(later(o, first, 10, convert_job=job(pod=pod(running=True))))
    assert going.status.blocked is None


def test_a_claim_that_gets_no_volume_says_why_in_the_provisioners_words():
    refused = claim("web01-disk0", trouble=Trouble("ProvisioningFailed", "pool is full"))
    o = observed(
        Phase.CONVERTING,
        convert_job=job(pod=pod(age=25, trouble=TROUBLES[6][0])),
        claims=(replace(refused, bound=False),),
    )
    told = condition(decide(o), "Converted")
    assert told.reason == "ClaimNotBound"
    assert "claim web01-disk0: pool is full" in told.message


def test_a_warning_that_the_kubelet_may_get_over_is_not_told_at_once():
    passing = Trouble("FailedMount", "failed to sync configmap cache: timed out waiting for the condition")
    decision = decide(observed(Phase.CONVERTING, convert_job=job(pod=pod(age=3, trouble=passing))))
    assert not decision.occurrences
    assert decision.requeue


def test_each_attempt_that_failed_is_told_once_with_its_cause():
    failure = failure_of(HostError(Reason.APPLIANCE_FAILED, "the appliance did not start"))
    ended = pod(ended=True, exit_code=75, result=Result(outcome=Outcome.FAILED, failure=failure, retry=True))
    retried = job(failed=1, pod=pod(running=True), last_failed=ended)
    o = observed(Phase.CONVERTING, convert_job=retried)
    decision = decide(o)
    assert decision.status.attempts == 2
    assert "the appliance did not start" in decision.occurrences[0].message
    assert any("the appliance did not start" in one for one in decision.status.warnings)
    assert not decide(later(o, decision, 5)).occurrences


@pytest.mark.parametrize(("age", "attempts"), [(3, 1), (60, 2)])
def test_an_attempt_whose_pod_is_not_seen_to_have_failed_is_waited_for_and_counts_in_the_end(age, attempts):
    """The Job may be seen to count a failure before the pod is seen to have failed; and the pod may have been removed."""
    o = observed(Phase.CONVERTING, convert_job=job(failed=1, pod=pod(running=True, age=age)))
    decision = decide(o)
    assert decision.status.attempts == attempts
    assert not decision.occurrences


def test_an_attempt_without_a_verdict_is_told_in_kubernetes_words():
    evicted = pod(ended=True, exit_reason="Evicted")
    decision = decide(observed(Phase.CONVERTING, convert_job=job(failed=1, pod=pod(running=True), last_failed=evicted)))
    assert "PodEnded" in decision.occurrences[0].message
    assert "Evicted" in decision.occurrences[0].message


def test_a_log_that_cannot_be_read_is_told_and_the_last_numbers_stay():
    status = make_status(Phase.CONVERTING, stage="Convert", percent=41, progress="Convert 41 %")
    running = job(pod=pod(running=True))
    decision = decide(observed(status=status, convert_job=running, untold="dial tcp: no route to host"))
    assert decision.status.percent == 41
    assert "no route to host" in condition(decision, "Converted").message


@pytest.mark.parametrize(
    ("asked", "default", "nodes", "expected"),
    [
        (None, KvmMode.AUTO, 2, Kvm.DEVICE_PLUGIN),
        (None, KvmMode.AUTO, 0, Kvm.PRIVILEGED),
        (None, KvmMode.NONE, 2, Kvm.NONE),
        (KvmMode.AUTO, KvmMode.NONE, 2, Kvm.DEVICE_PLUGIN),
        (KvmMode.PRIVILEGED, KvmMode.DEVICE_PLUGIN, 2, Kvm.PRIVILEGED),
        (KvmMode.DEVICE_PLUGIN, KvmMode.NONE, 0, Kvm.DEVICE_PLUGIN),
        (KvmMode.NONE, KvmMode.AUTO, 2, Kvm.NONE),
    ],
)
def test_kvm_is_what_the_user_says_else_the_operator_else_what_nodes_offer(asked, default, nodes, expected):
    assert kvm_mode(make_spec(job={"kvm": asked}), default, replace(CDI, kvm_nodes=nodes)) is expected


def test_a_result_that_is_lost_is_made_again():
    done = job(outcome=JobOutcome.SUCCEEDED, pod=pod(exit_code=0, ended=True))
    o = observed(Phase.CONVERTING, convert_job=done, claims=WRITTEN)
    decision = decide(o)
    assert kinds(decision, Delete) == [("Job", "web01-convert")]
    assert decide(later(o, decision, SETTINGS.start_deadline + 1)).status.failure.reason == "ResultLost"


def test_digests_that_a_verdict_has_no_room_for_come_from_the_report():
    report = {"converted": {"disks": [{"id": "scsi0:1", "digest": "from-report"}, {"id": "scsi0:0", "digest": "d0"}]}}
    few = RESULT.replaced(disks=RESULT.disks[:1])
    done = job(outcome=JobOutcome.SUCCEEDED, pod=pod(exit_code=0, result=few))
    decision = decide(
        observed(Phase.CONVERTING, claims=WRITTEN, convert_job=done, report=(("report.json", json.dumps(report)),))
    )
    assert [d.digest for d in decision.status.disks] == ["d0", "from-report"]
    assert condition(decision, "Converted").message.startswith("2 disks")


@pytest.mark.parametrize("outcome", [JobOutcome.SUCCEEDED, JobOutcome.FAILED])
def test_the_verdict_of_a_pod_is_waited_for_when_its_job_is_told_to_have_ended_first(outcome):
    behind = job(outcome=outcome, trouble=Trouble("PodFailurePolicy", "exit code 7"), pod=pod(running=True))
    decision = decide(observed(Phase.CONVERTING, convert_job=behind, claims=WRITTEN))
    assert decision.status.phase is Phase.CONVERTING
    assert not decision.actions
    assert decision.requeue


def test_success_leads_to_the_handoff():
    done = job(outcome=JobOutcome.SUCCEEDED, pod=pod(exit_code=0, result=RESULT))
    decision = decide(observed(Phase.CONVERTING, claims=WRITTEN, convert_job=done, report=(("report.json", "{}"),)))
    assert decision.status.phase is Phase.HANDING_OFF
    assert [d.digest for d in decision.status.disks] == ["d0", "d1"]
    assert decision.status.report == "web01-report"
    assert kinds(decision, Apply) == [("ConfigMap", "web01-report")]
    assert condition(decision, "Validated").reason == "Booted"
    assert "41 s (tcg)" in condition(decision, "Validated").message


def test_a_failure_names_stage_cause_and_remedy():
    error = GuestError(Reason.NO_OPERATING_SYSTEM, "scsi0:0 is empty", disk="scsi0:0")
    error.stage = Stage.INSPECT
    result = Result(outcome=Outcome.FAILED, failure=failure_of(error))
    ended = job(outcome=JobOutcome.FAILED, pod=pod(exit_code=5, result=result))
    decision = decide(observed(Phase.CONVERTING, convert_job=ended, report=(("report.json", "{}"),)))
    assert decision.status.failure.stage == "Inspect"
    assert error.hint in condition(decision, "Converted").message
    assert kinds(decision, Apply) == [("ConfigMap", "web01-report")]


@pytest.mark.parametrize(
    ("trouble", "exit_reason", "reason"),
    [
        (Trouble("BackoffLimitExceeded", "has reached"), "OOMKilled", "OutOfMemory"),
        (Trouble("BackoffLimitExceeded", "has reached"), "Error", "RetriesExhausted"),
        (Trouble("DeadlineExceeded", "was active longer"), "Error", "DeadlineExceeded"),
    ],
)
def test_a_pod_without_a_verdict_still_has_a_reason(trouble, exit_reason, reason):
    ended = job(outcome=JobOutcome.FAILED, trouble=trouble, pod=pod(exit_code=137, exit_reason=exit_reason))
    assert decide(observed(Phase.CONVERTING, convert_job=ended)).status.failure.reason == reason


def test_a_job_of_an_older_plan_is_made_anew():
    done = job(outcome=JobOutcome.SUCCEEDED, digest="of another plan", pod=pod(exit_code=0, result=RESULT))
    decision = decide(observed(Phase.CONVERTING, convert_job=done))
    assert kinds(decision, Delete) == [("Job", "web01-convert")]
    assert decision.status.phase is Phase.CONVERTING


@pytest.mark.parametrize("outcome", [JobOutcome.SUCCEEDED, JobOutcome.FAILED])
def test_it_is_told_once_that_the_plan_has_changed(outcome):
    o = observed(
        Phase.CONVERTING, convert_job=job(outcome=outcome, digest="of another plan", pod=pod(exit_code=0, ended=True))
    )
    decision = decide(o)
    assert [(told.reason, told.message) for told in decision.occurrences] == [
        ("PlanChanged", "The plan has changed: converting again.")
    ]
    assert decision.status.progress == "converting again: the plan has changed"
    seen_again = decide(later(o, decision, 1))
    assert kinds(seen_again, Delete) == [("Job", "web01-convert")]
    assert not seen_again.occurrences
    assert kinds(decide(later(o, decision, 1, convert_job=None)), Ensure) == [("Job", "web01-convert")]


@pytest.mark.parametrize(
    ("more", "phase"), [({}, Phase.HANDING_OFF), ({"oneMore": "another content"}, Phase.CONVERTING)]
)
def test_a_job_that_an_older_operator_made_counts_unless_its_plan_says_something_else(monkeypatch, more, phase):
    """The models of plans, machines and options get more fields."""
    started = decide(observed(Phase.CONVERTING, claims=WRITTEN))
    annotations = next(one for one in started.actions if isinstance(one, Ensure)).value["metadata"]["annotations"]
    make_plan = converting.make_plan
    monkeypatch.setattr(converting, "make_plan", lambda *arguments: newer(make_plan(*arguments), **more))
    done = job(outcome=JobOutcome.SUCCEEDED, digest=annotations[PLAN_DIGEST], pod=pod(exit_code=0, result=RESULT))
    decision = decide(observed(Phase.CONVERTING, claims=WRITTEN, convert_job=done))
    assert decision.status.phase is phase


@pytest.mark.parametrize(
    "there",
    [WRITTEN[:1], (WRITTEN[0], claim("web01-disk1", age=60)), (WRITTEN[0], replace(WRITTEN[1], going=True))],
    ids=["gone", "made anew", "going"],
)
def test_what_was_written_to_a_claim_that_is_gone_is_written_again(there):
    """Else an empty disk would be handed off. With it go the others, which no run writes again, and the workspace."""
    done = job(outcome=JobOutcome.SUCCEEDED, pod=pod(exit_code=0, result=RESULT))
    o = observed(Phase.CONVERTING, convert_job=done, claims=(*there, WORKSPACE))
    first = decide(o)
    assert kinds(first, Delete) == [("PersistentVolumeClaim", "web01-disk0"), ("PersistentVolumeClaim", WORKSPACE.name)]
    going = tuple(replace(one, going=True) for one in (WRITTEN[0], WORKSPACE))
    second = decide(later(o, first, 1, claims=(*going, *there[1:])))
    assert second.status.phase is Phase.PROVISIONING
    assert kinds(second, Delete) == [("Job", "web01-convert")]


def started_for(spec):
    """A Job that has succeeded, as the operator makes it for a spec."""
    started = decide(observed(Phase.CONVERTING, spec, claims=WRITTEN))
    annotations = next(one for one in started.actions if isinstance(one, Ensure)).value["metadata"]["annotations"]
    digests = {"digest": annotations[PLAN_DIGEST], "content": annotations[CONTENT_DIGEST]}
    return job(outcome=JobOutcome.SUCCEEDED, **digests, pod=pod(exit_code=0, result=RESULT))


def test_finished_disks_are_made_anew_when_an_edit_wants_another_content():
    """No run writes them again, and the workspace says that they are finished."""
    done, edited = started_for(make_spec()), make_spec(guest={"serialConsole": True})
    o = observed(Phase.CONVERTING, edited, convert_job=done, claims=(*WRITTEN, WORKSPACE, claim("web01-other")))
    first = decide(o)
    dropped = [("PersistentVolumeClaim", one.name) for one in (*WRITTEN, WORKSPACE)]
    assert (kinds(first, Delete), first.status.phase) == (dropped, Phase.CONVERTING)
    assert [told.reason for told in first.occurrences] == ["PlanChanged"]
    second = decide(later(o, first, 1, claims=(replace(WRITTEN[0], going=True),)))
    assert (kinds(second, Delete), second.status.phase) == ([("Job", "web01-convert")], Phase.PROVISIONING)
    assert second.occurrences == ()


@pytest.mark.parametrize("edit", [{"machine": {"memory": "8Gi"}}, {"validation": {"boot": {"enabled": False}}}])
def test_finished_disks_stay_when_an_edit_changes_nothing_of_them(edit):
    done = started_for(make_spec())
    decision = decide(observed(Phase.CONVERTING, make_spec(**edit), convert_job=done, claims=(*WRITTEN, WORKSPACE)))
    assert (kinds(decision, Delete), decision.status.phase) == ([("Job", "web01-convert")], Phase.CONVERTING)


def test_disks_that_were_handed_off_are_never_removed():
    status = make_status(Phase.CONVERTING, disks=[disk.replaced(handed_off=True) for disk in DISKS])
    done = job(outcome=JobOutcome.SUCCEEDED, pod=pod(exit_code=0, result=RESULT))
    decision = decide(observed(status=status, convert_job=done, claims=WRITTEN[:1]))
    assert not [name for kind, name in kinds(decision, Delete) if kind == "PersistentVolumeClaim"]


def test_a_job_that_makes_no_other_pod_after_one_that_failed_says_why():
    trouble = Trouble("FailedCreate", 'pods "x" is forbidden: exceeded quota: q')
    waiting = job(failed=1, trouble=trouble, pod=pod(exit_code=75, ended=True, age=300))
    decision = decide(observed(Phase.CONVERTING, convert_job=waiting))
    assert decision.status.blocked.reason == "QuotaExceeded"


def test_a_spec_of_which_there_is_no_plan_fails():
    spec = make_spec(machine={"firmware": "bios", "secureBoot": True})
    decision = decide(observed(Phase.CONVERTING, spec))
    assert (decision.status.phase, decision.status.failure.reason) == (Phase.FAILED, "InvalidSpec")


def test_a_dry_run_ends_with_its_report():
    status = make_status(Phase.CONVERTING, disks=[d.replaced(claim_name=None) for d in DISKS])
    done = job(outcome=JobOutcome.SUCCEEDED, pod=pod(exit_code=0, result=Result(outcome=Outcome.SUCCEEDED)))
    spec = make_spec(mode=Mode.PLAN)
    decision = decide(observed(spec=spec, status=status, convert_job=done, report=(("report.json", "{}"),)))
    assert decision.status.phase is Phase.SUCCEEDED
    assert kinds(decision, Apply) == [("ConfigMap", "web01-report")]


def test_a_log_that_cannot_be_read_in_the_end_leaves_a_dry_run_waiting_and_a_migration_with_a_warning():
    done = job(outcome=JobOutcome.SUCCEEDED, pod=pod(exit_code=0, result=RESULT))
    o = observed(Phase.CONVERTING, convert_job=done, claims=WRITTEN, untold="no route to host")
    migrated = decide(o)
    assert migrated.status.phase is Phase.HANDING_OFF
    assert "no route to host" in migrated.status.warnings[0]
    examined = decide(replace(o, spec=make_spec(mode=Mode.PLAN)))
    assert examined.status.phase is Phase.CONVERTING
    assert examined.status.blocked.reason == "ResultLost"
    assert not examined.actions


def test_a_failure_without_a_remedy_is_told_as_it_is():
    failure = Failure(reason="EditFailed", message="the write was lost")
    ended = job(outcome=JobOutcome.FAILED, pod=pod(exit_code=5, result=Result(outcome=Outcome.FAILED, failure=failure)))
    assert condition(decide(observed(Phase.CONVERTING, convert_job=ended)), "Converted").message == failure.message


def test_a_report_that_a_config_map_cannot_hold_is_told():
    done = job(outcome=JobOutcome.SUCCEEDED, pod=pod(exit_code=0, result=RESULT))
    report = (("report.json", "{}"), ("report.html", "x" * (1 << 20)))
    decision = decide(observed(Phase.CONVERTING, claims=WRITTEN, convert_job=done, report=report))
    assert any("report.html" in one for one in decision.status.warnings)


@pytest.mark.parametrize(("late", "silent"), [(-5, False), (5, False), (90, True)])
def test_a_node_that_does_not_confirm_the_end_of_a_pod_is_named_and_waited_for(late, silent):
    """Kubernetes starts no other pod before it knows; and two would write to the same disks."""
    going = pod(running=True, node="worker3", gone_by=NOW - dt.timedelta(seconds=late))
    o = observed(Phase.CONVERTING, convert_job=job(pod=going), claims=WRITTEN)
    decision = decide(o)
    assert (decision.status.blocked is not None) is silent
    if silent:
        assert condition(decision, "Ready").reason == "NodeSilent"
        assert "worker3" in decision.status.progress
        assert [one.reason for one in decision.occurrences] == ["NodeSilent"]
        much_later = decide(later(o, decision, 1_000_000))
        assert (much_later.status.phase, much_later.occurrences) == (Phase.CONVERTING, ())
        assert "worker3" in decide(replace(o, deleting=True)).status.progress
