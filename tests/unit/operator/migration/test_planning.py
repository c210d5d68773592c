from dataclasses import replace

import pytest

from hyper2kvm_api.errors import SpecError
from hyper2kvm_api.migration import Phase
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.result import Outcome, Result, failure_of
from hyper2kvm_operator.reconcile.migration.decide import decide
from hyper2kvm_operator.reconcile.migration.decision import (
    Apply,
    Delete,
    Ensure,
    Rehearse,
)
from hyper2kvm_operator.reconcile.migration.observed import (
    JobOutcome,
    Neighbours,
)
from unit.operator.situations import (
    CDI,
    MACHINE,
    SETTINGS,
    WITH_VM,
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


def test_the_plan_job_is_made_with_its_config_which_an_earlier_attempt_may_have_left():
    decision = decide(observed(Phase.PLANNING))
    assert kinds(decision, Apply) == [("ConfigMap", "web01-request")]
    assert kinds(decision, Ensure) == [("Job", "web01-plan")]


def test_a_described_machine_leads_to_volumes():
    done = job("plan", JobOutcome.SUCCEEDED)
    decision = decide(observed(Phase.PLANNING, plan_job=done, machine=MACHINE, neighbours=Neighbours()))
    assert decision.status.phase is Phase.PROVISIONING
    assert decision.status.machine.name == "Web 01"
    assert [(d.id, d.claim_name) for d in decision.status.disks] == [
        ("scsi0:0", "web01-disk0"),
        ("scsi0:1", "web01-disk1"),
    ]
    assert condition(decision, "Planned").message == "Web 01: 2 CPUs, 2048 MiB, 2 disks"


@pytest.mark.parametrize("format_", ["raw", "qcow2", "vdi"])
def test_of_an_image_that_stays_the_claim_is_told_that_holds_it(format_):
    spec = make_spec(target={"handoff": "None", "disks": {"format": format_}})
    planned = decide(observed(Phase.PLANNING, spec, **described()))
    told = [disk.claim_name for disk in planned.status.disks]
    assert told == ["web01-disk0-artifact", "web01-disk1-artifact"]
    made = decide(later(observed(Phase.PLANNING, spec), planned, 1))
    assert [name for _, name in kinds(made, Ensure)][:2] == told


def test_a_dry_run_gets_no_volumes():
    done = job("plan", JobOutcome.SUCCEEDED)
    o = observed(Phase.PLANNING, make_spec(mode="Plan"), plan_job=done, machine=MACHINE, neighbours=Neighbours())
    decision = decide(o)
    assert decision.status.phase is Phase.CONVERTING
    assert all(d.claim_name is None for d in decision.status.disks)


@pytest.mark.parametrize(
    ("spec", "neighbours", "reason", "said"),
    [
        ({}, Neighbours(claims=(claim("web01-disk1", None),)), "ClaimExists", "web01-disk1"),
        ({}, Neighbours(data_volumes=("web01-disk0",)), "ClaimExists", "DataVolume web01-disk0"),
        (WITH_VM, Neighbours(virtual_machine=True), "VirtualMachineExists", "web"),
        (WITH_VM, Neighbours(reserved_by="other"), "VirtualMachineExists", "other"),
        (
            WITH_VM,
            Neighbours(absent=("VirtualMachinePreference large",)),
            "VirtualMachineRefused",
            "there is no VirtualMachinePreference large",
        ),
        (
            WITH_VM,
            Neighbours(macs=(("00:50:56:aa:bb:cc", "the VirtualMachine prod/db"),)),
            "MacAddressInUse",
            "prod/db",
        ),
    ],
)
def test_what_is_in_the_way_is_found_before_anything_is_copied(spec, neighbours, reason, said):
    done = job("plan", JobOutcome.SUCCEEDED)
    o = observed(Phase.PLANNING, make_spec(**spec), plan_job=done, machine=MACHINE, neighbours=neighbours)
    decision = decide(o)
    assert decision.status.failure.reason == reason
    assert said in decision.status.failure.message


def test_claims_of_an_earlier_attempt_are_not_in_the_way():
    done = job("plan", JobOutcome.SUCCEEDED)
    neighbours = Neighbours(claims=(claim("web01-disk0"),))
    decision = decide(observed(Phase.PLANNING, plan_job=done, machine=MACHINE, neighbours=neighbours))
    assert decision.status.phase is Phase.PROVISIONING


def test_adapters_without_a_network_are_a_warning():
    machine = MACHINE.replaced(nics=(*MACHINE.nics, MACHINE.nics[0].replaced(id="ethernet1", mac=None)))
    done = job("plan", JobOutcome.SUCCEEDED)
    o = observed(Phase.PLANNING, make_spec(**WITH_VM), plan_job=done, machine=machine, neighbours=Neighbours())
    decision = decide(o)
    assert decision.status.phase is Phase.PROVISIONING
    assert "ethernet1" in decision.status.warnings[0]


def test_the_pods_own_verdict_is_the_failure():
    failure = failure_of(SpecError(Reason.INVALID_SPEC, "no"))
    ended = pod(exit_code=2, exit_reason="Error", result=Result(outcome=Outcome.FAILED, failure=failure))
    decision = decide(observed(Phase.PLANNING, plan_job=job("plan", JobOutcome.FAILED, pod=ended)))
    assert decision.status.failure == failure


def test_a_verdict_that_is_not_told_yet_is_waited_for():
    decision = decide(observed(Phase.PLANNING, plan_job=job("plan", JobOutcome.FAILED, pod=pod(running=True))))
    assert decision.status.phase is Phase.PLANNING
    assert decision.requeue


def test_a_claim_that_is_going_is_not_in_the_way():
    neighbours = Neighbours(claims=(claim("web01-disk0", "of an earlier one", going=True),))
    assert decide(observed(Phase.PLANNING, **described(neighbours))).status.phase is Phase.PROVISIONING


def described(neighbours=Neighbours(), machine=MACHINE):  # noqa: B008 -- immutable
    return {"plan_job": job("plan", JobOutcome.SUCCEEDED), "machine": machine, "neighbours": neighbours}


def test_kubevirt_is_asked_before_anything_is_copied():
    decision = decide(observed(Phase.PLANNING, make_spec(**WITH_VM), **described()))
    assert kinds(decision, Rehearse) == [("VirtualMachine", "web")]
    volumes = decision.actions[0].value["spec"]["template"]["spec"]["volumes"]
    assert [one["dataVolume"]["name"] for one in volumes] == ["web01-disk0", "web01-disk1"]


def test_to_a_dry_run_obstacles_are_warnings():
    taken = Neighbours(virtual_machine=True, claims=(claim("web01-disk0", None),))
    lacking = replace(CDI, kubevirt=False)
    o = observed(Phase.PLANNING, make_spec(mode="Plan", **WITH_VM), abilities=lacking, **described(taken))
    decision = decide(o)
    assert decision.status.phase is Phase.CONVERTING
    assert not kinds(decision, Rehearse)
    told = [one.partition(":")[0] for one in decision.status.warnings]
    assert told == ["KubeVirtMissing", "ClaimExists", "VirtualMachineExists"]


def test_no_more_is_warned_of_than_a_status_holds():
    nics = tuple(MACHINE.nics[0].replaced(id=f"ethernet{n}", mac=None) for n in range(64))
    spec = make_spec(mode="Plan", target={"virtualMachine": {"create": True, "networks": [{"source": "x", "pod": {}}]}})
    taken = Neighbours(virtual_machine=True)
    decision = decide(observed(Phase.PLANNING, spec, **described(taken, MACHINE.replaced(nics=nics))))
    assert len(decision.status.warnings) == 64


@pytest.mark.parametrize("phase", [Phase.PLANNING, Phase.PROVISIONING, Phase.CONVERTING])
def test_an_edit_before_the_work_on_the_disks_starts_over(phase):
    decision = decide(observed(phase, edited=True, generation=2))
    assert decision.status.phase is Phase.PENDING
    assert decision.requeue == 0


def test_an_edit_that_came_too_late_changes_nothing():
    decision = decide(observed(Phase.CONVERTING, edited=True, generation=2, convert_job=job(pod=pod(running=True))))
    assert decision.status.phase is Phase.CONVERTING


def test_a_described_source_whose_log_is_gone_is_described_again():
    o = observed(Phase.PLANNING, plan_job=job("plan", JobOutcome.SUCCEEDED))
    first = decide(o)
    assert kinds(first, Delete) == [("Job", "web01-plan")]
    assert first.status.blocked.reason == "ResultLost"
    again = decide(later(o, first, 5, plan_job=job("plan", pod=pod(running=True))))
    assert again.status.blocked == first.status.blocked
    in_the_end = decide(later(o, again, SETTINGS.start_deadline + 10))
    assert in_the_end.status.failure.reason == "ResultLost"


def test_a_log_that_cannot_be_read_at_the_moment_is_read_later():
    decision = decide(observed(Phase.PLANNING, plan_job=job("plan", JobOutcome.SUCCEEDED), untold="no route to host"))
    assert not kinds(decision, Delete)
    assert "no route to host" in decision.status.blocked.message


def test_a_migration_that_was_resumed_says_what_it_does_and_no_longer_that_it_is_suspended():
    status = make_status(Phase.PLANNING, progress="suspended")
    o = observed(status=status, plan_job=job("plan", pod=pod(running=True)))
    assert decide(o).status.progress == "describing the source"
