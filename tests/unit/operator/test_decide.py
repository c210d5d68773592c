from dataclasses import replace

import pytest

from hyper2kvm_api.errors import GuestError, SpecError
from hyper2kvm_api.machine import Firmware
from hyper2kvm_api.migration import Mode, Phase
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.result import Outcome, Result, failure_of
from hyper2kvm_api.stage import Stage
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.reconcile.migration.decide import decide
from hyper2kvm_operator.reconcile.migration.decision import (
    Apply,
    Delete,
    Ensure,
    IssueCertificate,
    Merge,
    SetFinalizer,
)
from hyper2kvm_operator.reconcile.migration.observed import (
    Abilities,
    ClaimState,
    DataVolumeState,
    JobOutcome,
    Neighbours,
    Trouble,
)
from hyper2kvm_operator.reconcile.migration.progress import Progress
from unit.operator.situations import (
    DISKS,
    KEY,
    MACHINE,
    NOW,
    RESULT,
    SETTINGS,
    job,
    make_spec,
    make_status,
    observed,
    pod,
)


def kinds(decision, action):
    return [
        (a.value["kind"], a.value["metadata"]["name"]) if hasattr(a, "value") else (a.resource.kind, a.name)
        for a in decision.actions
        if isinstance(a, action)
    ]


def condition(decision, type_):
    return next((c for c in decision.status.conditions if c.type == type_), None)


def volumes(*phases):
    return tuple(DataVolumeState(f"web01-disk{n}", phase) for n, phase in enumerate(phases))


ADOPTED = {"target": {"handoff": "Adopt"}}
WITH_VM = {"target": {"virtualMachine": {"create": True, "name": "web"}}}
IMPORT = {"target": {"handoff": "Import", "disks": {"format": "qcow2"}}}


class TestPending:
    def test_a_new_migration_gets_a_finalizer_and_starts_to_plan(self):
        decision = decide(observed(finalizer=False))
        assert isinstance(decision.actions[0], SetFinalizer)
        assert decision.status.phase is Phase.PLANNING
        assert decision.status.started_at == "2026-01-02T03:04:05Z"
        assert "claimName: exports" in decision.status.effective_spec
        assert decision.requeue == 0

    def test_it_waits_for_a_slot_and_says_so(self):
        decision = decide(observed(free_slot=False, ahead=4))
        assert decision.status.phase is Phase.PENDING
        assert "4 before this one" in decision.status.progress
        assert decision.requeue

    def test_a_wrong_spec_fails_at_once(self):
        decision = decide(observed(spec=SpecError(Reason.INVALID_SPEC, "spec.target: no")))
        assert decision.status.phase is Phase.FAILED
        assert decision.status.failure.reason == "InvalidSpec"
        assert condition(decision, "Ready").reason == "InvalidSpec"
        assert decision.occurrences[0].warning

    def test_suspended_it_takes_no_slot(self):
        decision = decide(observed(spec=make_spec(suspend=True)))
        assert decision.status.phase is Phase.PENDING
        assert decision.requeue is None

    @pytest.mark.parametrize(
        ("spec", "abilities", "reason"),
        [
            (
                {"source": {"files": {"volume": {"hostPath": {"path": "/x"}}, "path": "a.ova"}}},
                Abilities(cdi=True, kubevirt=True, kvm_nodes=0),
                "HostPathForbidden",
            ),
            (IMPORT, Abilities(cdi=False, kubevirt=True, kvm_nodes=0), "CdiMissing"),
            (WITH_VM, Abilities(cdi=True, kubevirt=False, kvm_nodes=0), "KubeVirtMissing"),
        ],
    )
    def test_what_the_cluster_cannot_do_is_refused_before_anything_is_made(self, spec, abilities, reason):
        decision = decide(observed(spec=make_spec(**spec), abilities=abilities))
        assert decision.status.failure.reason == reason
        assert not decision.actions


class TestPlanning:
    def test_the_plan_job_is_made_with_its_config_which_an_earlier_attempt_may_have_left(self):
        decision = decide(observed(Phase.PLANNING))
        assert kinds(decision, Apply) == [("ConfigMap", "web01-request")]
        assert kinds(decision, Ensure) == [("Job", "web01-plan")]

    def test_a_described_machine_leads_to_volumes(self):
        done = job("plan", JobOutcome.SUCCEEDED)
        decision = decide(observed(Phase.PLANNING, plan_job=done, machine=MACHINE, neighbours=Neighbours()))
        assert decision.status.phase is Phase.PROVISIONING
        assert decision.status.machine.name == "Web 01"
        assert [(d.id, d.claim_name) for d in decision.status.disks] == [
            ("scsi0:0", "web01-disk0"),
            ("scsi0:1", "web01-disk1"),
        ]
        assert condition(decision, "Planned").message == "Web 01: 2 CPUs, 2048 MiB, 2 disks"

    def test_a_dry_run_gets_no_volumes(self):
        done = job("plan", JobOutcome.SUCCEEDED)
        o = observed(Phase.PLANNING, make_spec(mode="Plan"), plan_job=done, machine=MACHINE, neighbours=Neighbours())
        decision = decide(o)
        assert decision.status.phase is Phase.CONVERTING
        assert all(d.claim_name is None for d in decision.status.disks)

    @pytest.mark.parametrize(
        ("spec", "neighbours", "reason", "said"),
        [
            ({}, Neighbours(claims=(ClaimState("web01-disk1", None, "Bound"),)), "ClaimExists", "web01-disk1"),
            ({}, Neighbours(storage_class_missing="there is no StorageClass x"), "StorageClassMissing", "x"),
            (WITH_VM, Neighbours(virtual_machine=True), "VirtualMachineExists", "web"),
            (WITH_VM, Neighbours(reserved_by="other"), "VirtualMachineExists", "other"),
            (WITH_VM, Neighbours(macs=(("00:50:56:aa:bb:cc", "prod/db"),)), "MacAddressInUse", "prod/db"),
        ],
    )
    def test_what_is_in_the_way_is_found_before_anything_is_copied(self, spec, neighbours, reason, said):
        done = job("plan", JobOutcome.SUCCEEDED)
        o = observed(Phase.PLANNING, make_spec(**spec), plan_job=done, machine=MACHINE, neighbours=neighbours)
        decision = decide(o)
        assert decision.status.failure.reason == reason
        assert said in decision.status.failure.message

    def test_claims_of_an_earlier_attempt_are_not_in_the_way(self):
        done = job("plan", JobOutcome.SUCCEEDED)
        neighbours = Neighbours(claims=(ClaimState("web01-disk0", KEY.uid, "Bound"),))
        decision = decide(observed(Phase.PLANNING, plan_job=done, machine=MACHINE, neighbours=neighbours))
        assert decision.status.phase is Phase.PROVISIONING

    def test_adapters_without_a_network_are_a_warning(self):
        machine = MACHINE.replaced(nics=(*MACHINE.nics, MACHINE.nics[0].replaced(id="ethernet1", mac=None)))
        done = job("plan", JobOutcome.SUCCEEDED)
        o = observed(Phase.PLANNING, make_spec(**WITH_VM), plan_job=done, machine=machine, neighbours=Neighbours())
        decision = decide(o)
        assert decision.status.phase is Phase.PROVISIONING
        assert "ethernet1" in decision.status.warnings[0]

    def test_the_pods_own_verdict_is_the_failure(self):
        failure = failure_of(SpecError(Reason.INVALID_SPEC, "no"))
        ended = pod(exit_code=2, exit_reason="Error", result=Result(outcome=Outcome.FAILED, failure=failure))
        decision = decide(observed(Phase.PLANNING, plan_job=job("plan", JobOutcome.FAILED, pod=ended)))
        assert decision.status.failure == failure

    def test_a_described_source_whose_log_is_gone_is_described_again(self):
        decision = decide(observed(Phase.PLANNING, plan_job=job("plan", JobOutcome.SUCCEEDED)))
        assert kinds(decision, Delete) == [("Job", "web01-plan")]


class TestProvisioning:
    def test_claims_and_plan_are_made(self):
        decision = decide(observed(Phase.PROVISIONING))
        assert kinds(decision, Ensure) == [
            ("PersistentVolumeClaim", "web01-disk0"),
            ("PersistentVolumeClaim", "web01-disk1"),
            ("PersistentVolumeClaim", "web01-workspace"),
            ("ConfigMap", "web01-plan"),
        ]
        assert decision.status.phase is Phase.CONVERTING

    def test_an_import_writes_to_claims_of_its_own(self):
        decision = decide(observed(Phase.PROVISIONING, make_spec(**IMPORT)))
        names = [name for kind, name in kinds(decision, Ensure) if kind == "PersistentVolumeClaim"]
        assert names == ["web01-disk0-artifact", "web01-disk1-artifact", "web01-workspace"]


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
]


class TestConverting:
    def test_the_job_is_made_for_the_plan(self):
        decision = decide(observed(Phase.CONVERTING))
        assert kinds(decision, Apply) == [("ConfigMap", "web01-plan")]
        assert kinds(decision, Ensure) == [("Job", "web01-convert")]

    def test_progress_is_shown(self):
        told = Progress("Convert", {"scsi0:0": (300, 1000), "scsi0:1": (0, 1000)}, 50 << 20, ("LowSpace: a",))
        decision = decide(observed(Phase.CONVERTING, convert_job=job(pod=pod(running=True)), progress=told))
        assert (decision.status.stage, decision.status.percent) == ("Convert", 15)
        assert decision.status.progress == "Convert 15 % 50 MiB/s"
        assert [(d.copied, d.total) for d in decision.status.disks] == [(300, 1000), (0, 1000)]
        assert decision.status.warnings == ["LowSpace: a"]
        assert decision.requeue

    @pytest.mark.parametrize(("trouble", "reason"), TROUBLES)
    def test_a_pod_that_does_not_start_says_why_and_fails_in_the_end(self, trouble, reason):
        fresh = observed(Phase.CONVERTING, convert_job=job(pod=pod(age=25, trouble=trouble)))
        decision = decide(fresh)
        assert decision.status.phase is Phase.CONVERTING
        assert condition(decision, "Converted").reason == reason
        assert decision.occurrences
        old = observed(Phase.CONVERTING, since=10_000, convert_job=job(pod=pod(age=10_000, trouble=trouble)))
        ended = decide(old)
        assert ended.status.failure.reason == reason
        assert trouble.message in ended.status.failure.message

    def test_a_warning_that_the_kubelet_may_get_over_is_not_told_at_once(self):
        passing = Trouble("FailedMount", "failed to sync configmap cache: timed out waiting for the condition")
        decision = decide(observed(Phase.CONVERTING, convert_job=job(pod=pod(age=3, trouble=passing))))
        assert not decision.occurrences
        assert decision.requeue

    def test_the_same_trouble_is_told_once(self):
        stuck = job(pod=pod(age=3, trouble=TROUBLES[2][0]))
        first = decide(observed(Phase.CONVERTING, convert_job=stuck))
        again = decide(observed(Phase.CONVERTING, convert_job=stuck, status=first.status))
        assert not again.occurrences

    def test_suspending_holds_the_job_and_resuming_lets_it_go_on(self):
        running = job(pod=pod(running=True))
        held = decide(observed(Phase.CONVERTING, make_spec(suspend=True), convert_job=running))
        assert held.actions == (Merge(Resources.JOB.value, "web01-convert", {"spec": {"suspend": True}}),)
        assert held.status.phase is Phase.CONVERTING
        resumed = decide(observed(Phase.CONVERTING, convert_job=replace(running, suspended=True, pod=None)))
        assert resumed.actions == (Merge(Resources.JOB.value, "web01-convert", {"spec": {"suspend": False}}),)

    def test_success_leads_to_the_handoff(self):
        done = job(outcome=JobOutcome.SUCCEEDED, pod=pod(exit_code=0, result=RESULT))
        decision = decide(observed(Phase.CONVERTING, convert_job=done, report=(("report.json", "{}"),)))
        assert decision.status.phase is Phase.HANDING_OFF
        assert [d.digest for d in decision.status.disks] == ["d0", "d1"]
        assert decision.status.report == "web01-report"
        assert kinds(decision, Apply) == [("ConfigMap", "web01-report")]
        assert condition(decision, "Validated").reason == "Booted"
        assert "41 s (tcg)" in condition(decision, "Validated").message

    def test_a_failure_names_stage_cause_and_remedy(self):
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
    def test_a_pod_without_a_verdict_still_has_a_reason(self, trouble, exit_reason, reason):
        ended = job(outcome=JobOutcome.FAILED, trouble=trouble, pod=pod(exit_code=137, exit_reason=exit_reason))
        assert decide(observed(Phase.CONVERTING, convert_job=ended)).status.failure.reason == reason

    def test_a_job_of_an_older_plan_is_made_anew(self):
        done = job(outcome=JobOutcome.SUCCEEDED, digest="of another plan", pod=pod(result=RESULT))
        decision = decide(observed(Phase.CONVERTING, convert_job=done))
        assert kinds(decision, Delete) == [("Job", "web01-convert")]
        assert decision.status.phase is Phase.CONVERTING

    def test_a_dry_run_ends_with_its_report(self):
        status = make_status(Phase.CONVERTING, disks=[d.replaced(claim_name=None) for d in DISKS])
        done = job(outcome=JobOutcome.SUCCEEDED, pod=pod(result=Result(outcome=Outcome.SUCCEEDED)))
        spec = make_spec(mode=Mode.PLAN)
        decision = decide(observed(spec=spec, status=status, convert_job=done, report=(("report.json", "{}"),)))
        assert decision.status.phase is Phase.SUCCEEDED
        assert kinds(decision, Apply) == [("ConfigMap", "web01-report")]


class TestHandingOff:
    def test_adopting_releases_claims_then_makes_data_volumes(self):
        decision = decide(observed(Phase.HANDING_OFF))
        assert kinds(decision, Merge) == [
            ("PersistentVolumeClaim", "web01-disk0"),
            ("PersistentVolumeClaim", "web01-disk1"),
        ]
        release = decision.actions[0].patch["metadata"]
        assert release["ownerReferences"] is None
        assert release["annotations"] == {"cdi.kubevirt.io/storage.populatedFor": "web01-disk0"}
        assert kinds(decision, Ensure) == [("DataVolume", "web01-disk0"), ("DataVolume", "web01-disk1")]
        assert all(d.handed_off for d in decision.status.disks)

    def test_it_waits_until_every_data_volume_has_succeeded(self):
        decision = decide(observed(Phase.HANDING_OFF, data_volumes=volumes("Succeeded", "Pending")))
        assert decision.status.phase is Phase.HANDING_OFF
        assert "web01-disk1 Pending" in condition(decision, "HandedOff").message
        assert not decision.actions

    def test_without_a_virtual_machine_it_ends_there(self):
        decision = decide(observed(Phase.HANDING_OFF, data_volumes=volumes("Succeeded", "Succeeded")))
        assert decision.status.phase is Phase.SUCCEEDED
        assert condition(decision, "HandedOff").reason == "Adopt"
        assert condition(decision, "Ready").status == "True"

    def test_the_virtual_machine_comes_last_and_owns_the_disks(self):
        status = make_status(Phase.HANDING_OFF, virtual_machine_name="web", firmware=Firmware.UEFI, boot_disk="scsi0:1")
        done = volumes("Succeeded", "Succeeded")
        making = decide(observed(spec=make_spec(**WITH_VM), status=status, data_volumes=done))
        assert kinds(making, Ensure) == [("VirtualMachine", "web")]
        assert making.status.phase is Phase.HANDING_OFF
        made = decide(observed(spec=make_spec(**WITH_VM), status=status, data_volumes=done, virtual_machine="vm-uid"))
        assert made.status.phase is Phase.SUCCEEDED
        assert kinds(made, Merge) == [("DataVolume", "web01-disk0"), ("DataVolume", "web01-disk1")]
        assert made.actions[0].patch["metadata"]["ownerReferences"][0]["uid"] == "vm-uid"

    def test_without_cdi_the_claims_themselves_are_the_disks(self):
        status = make_status(Phase.HANDING_OFF, virtual_machine_name="web")
        bare = Abilities(cdi=False, kubevirt=True, kvm_nodes=0)
        decision = decide(observed(spec=make_spec(**WITH_VM), status=status, abilities=bare))
        vm = next(a.value for a in decision.actions if isinstance(a, Ensure))
        assert vm["spec"]["template"]["spec"]["volumes"][0] == {
            "name": "disk0",
            "persistentVolumeClaim": {"claimName": "web01-disk0"},
        }
        made = decide(observed(spec=make_spec(**WITH_VM), status=status, abilities=bare, virtual_machine="vm-uid"))
        assert made.status.phase is Phase.SUCCEEDED
        assert kinds(made, Merge) == [
            (kind, f"web01-disk{n}") for kind in 2 * ("PersistentVolumeClaim",) for n in (0, 1)
        ]
        assert condition(made, "HandedOff").message.endswith(
            "CDI is not installed: the claims themselves are the disks"
        )

    def test_an_import_serves_the_images_and_removes_the_server_afterwards(self):
        spec = make_spec(**IMPORT)
        first = decide(observed(Phase.HANDING_OFF, spec))
        assert any(isinstance(a, IssueCertificate) for a in first.actions)
        assert kinds(first, Ensure) == [
            ("Service", "serve-web01-uid-1"),
            ("Pod", "serve-web01-uid-1"),
            ("DataVolume", "web01-disk0"),
            ("DataVolume", "web01-disk1"),
        ]
        serving = {"serve_pod": pod(running=True), "certificate": True}
        last = decide(observed(Phase.HANDING_OFF, spec, data_volumes=volumes("Succeeded", "Succeeded"), **serving))
        assert last.status.phase is Phase.SUCCEEDED
        assert [kind for kind, _ in kinds(last, Delete)] == ["Pod", "Service", "Secret", "ConfigMap"]
        assert kinds(last, Merge) == [("DataVolume", "web01-disk0"), ("DataVolume", "web01-disk1")]

    def test_an_import_that_fails_again_and_again_is_a_failure_in_cdis_words(self):
        broken = DataVolumeState("web01-disk0", "ImportInProgress", message="Unable to connect", restarts=9)
        decision = decide(observed(Phase.HANDING_OFF, make_spec(**IMPORT), data_volumes=(broken,)))
        assert decision.status.failure.reason == "HandoffFailed"
        assert "Unable to connect" in decision.status.failure.message

    def test_without_a_handoff_the_images_stay(self):
        decision = decide(observed(Phase.HANDING_OFF, make_spec(target={"handoff": "None"})))
        assert decision.status.phase is Phase.SUCCEEDED


class TestEnds:
    def test_an_edit_starts_a_failed_migration_again_and_removes_its_jobs_first(self):
        failed = make_status(Phase.FAILED)
        again = decide(observed(status=failed, generation=2))
        assert again.status.phase is Phase.PENDING
        left = job(outcome=JobOutcome.FAILED)
        cleaning = decide(observed(status=again.status, generation=2, convert_job=left))
        assert kinds(cleaning, Delete) == [("Job", "web01-convert")]
        assert cleaning.status.phase is Phase.PENDING

    def test_without_an_edit_a_failed_migration_rests(self):
        decision = decide(observed(status=make_status(Phase.FAILED)))
        assert decision.requeue is None
        assert not decision.actions

    @pytest.mark.parametrize("phase", [Phase.PLANNING, Phase.PROVISIONING, Phase.CONVERTING, Phase.HANDING_OFF])
    def test_cancelling_removes_what_was_not_handed_off(self, phase):
        disks = [DISKS[0].replaced(handed_off=True), DISKS[1]]
        own = tuple(ClaimState(name, KEY.uid, "Bound") for name in ("web01-disk0", "web01-disk1", "web01-workspace"))
        status = make_status(phase, disks=disks, machine=MACHINE)
        o = observed(spec=make_spec(cancel=True), status=status, claims=own, convert_job=job(pod=pod(running=True)))
        decision = decide(o)
        assert decision.status.phase is Phase.CANCELLED
        assert kinds(decision, Delete) == [
            ("Job", "web01-convert"),
            ("PersistentVolumeClaim", "web01-disk1"),
            ("PersistentVolumeClaim", "web01-workspace"),
        ]

    def test_success_cannot_be_cancelled(self):
        decision = decide(observed(spec=make_spec(cancel=True), status=make_status(Phase.SUCCEEDED), generation=2))
        assert decision.status.phase is Phase.SUCCEEDED

    def test_deletion_waits_until_no_pod_works(self):
        busy = decide(observed(Phase.CONVERTING, deleting=True, convert_job=job(), pods=1))
        assert kinds(busy, Delete) == [("Job", "web01-convert")]
        assert not any(isinstance(a, SetFinalizer) for a in busy.actions)
        gone = decide(observed(Phase.CONVERTING, deleting=True))
        assert gone.actions[-1] == SetFinalizer(present=False)

    def test_cleanup_after_success_removes_what_the_user_names(self):
        own = tuple(ClaimState(n, KEY.uid, "Bound") for n in ("web01-workspace", "web01-disk0-artifact"))
        spec = make_spec(cleanup={"workspace": "OnSuccess", "jobs": "OnSuccess", "artifacts": "OnSuccess"})
        done = job(outcome=JobOutcome.SUCCEEDED)
        decision = decide(observed(spec=spec, status=make_status(Phase.SUCCEEDED), claims=own, convert_job=done))
        assert kinds(decision, Delete) == [
            ("Job", "web01-convert"),
            ("PersistentVolumeClaim", "web01-workspace"),
            ("PersistentVolumeClaim", "web01-disk0-artifact"),
        ]

    def test_a_look_at_an_unchanged_migration_changes_nothing(self):
        for phase in (Phase.SUCCEEDED, Phase.FAILED):
            first = decide(observed(status=make_status(phase)))
            second = decide(observed(status=first.status))
            assert second.status == first.status
            assert not second.actions

    def test_settings_bound_every_wait(self):
        settings = SETTINGS.replaced(start_deadline=10)
        stuck = job(trouble=TROUBLES[1][0])
        o = observed(Phase.CONVERTING, since=11, convert_job=stuck, settings=settings, now=NOW)
        assert decide(o).status.failure.reason == "QuotaExceeded"
