from dataclasses import replace

import pytest
import yaml

from hyper2kvm_api.errors import SpecError
from hyper2kvm_api.migration import Phase
from hyper2kvm_api.reasons import Reason
from hyper2kvm_operator.reconcile.migration.decide import decide
from hyper2kvm_operator.reconcile.migration.decision import (
    SetFinalizer,
)
from hyper2kvm_operator.reconcile.migration.observed import (
    Abilities,
)
from unit.operator.situations import (
    CDI,
    DISKS,
    IMPORT,
    MACHINE,
    SETTINGS,
    WITH_VM,
    condition,
    later,
    make_spec,
    make_status,
    observed,
)


def test_a_new_migration_gets_a_finalizer_and_starts_to_plan():
    decision = decide(observed(finalizer=False))
    assert isinstance(decision.actions[0], SetFinalizer)
    assert decision.status.phase is Phase.PLANNING
    assert decision.status.started_at == "2026-01-02T03:04:05Z"
    assert "claimName: exports" in decision.status.effective_spec
    assert decision.requeue == 0


def test_it_waits_for_a_slot_and_says_so():
    decision = decide(observed(free_slot=False, ahead=4))
    assert decision.status.phase is Phase.PENDING
    assert "4 before this one" in decision.status.progress
    assert decision.requeue


def test_a_wrong_spec_fails_at_once():
    decision = decide(observed(spec=SpecError(Reason.INVALID_SPEC, "spec.target: no")))
    assert decision.status.phase is Phase.FAILED
    assert decision.status.failure.reason == "InvalidSpec"
    assert condition(decision, "Ready").reason == "InvalidSpec"
    assert decision.occurrences[0].warning


def test_suspended_it_takes_no_slot():
    decision = decide(observed(spec=make_spec(suspend=True)))
    assert decision.status.phase is Phase.PENDING
    assert decision.requeue is None


@pytest.mark.parametrize(
    ("spec", "abilities", "reason"),
    [
        (
            {"source": {"files": {"volume": {"hostPath": {"path": "/x"}}, "path": "a.ova"}}},
            CDI,
            "HostPathForbidden",
        ),
        (IMPORT, replace(CDI, cdi=False), "CdiMissing"),
        (WITH_VM, replace(CDI, kubevirt=False), "KubeVirtMissing"),
        ({"target": {"disks": {"storageClassName": "slow"}}}, CDI, "StorageClassMissing"),
        ({"job": {"workspace": {"storageClassName": "slow"}}}, CDI, "StorageClassMissing"),
        ({}, replace(CDI, default_class=None), "StorageClassMissing"),
    ],
)
def test_what_the_cluster_cannot_do_is_refused_before_anything_is_made(spec, abilities, reason):
    decision = decide(observed(spec=make_spec(**spec), abilities=abilities))
    assert decision.status.failure.reason == reason
    assert not decision.actions


def test_to_a_dry_run_what_the_target_lacks_is_no_obstacle():
    bare = Abilities(cdi=False, kubevirt=False, kvm_nodes=0)
    decision = decide(observed(spec=make_spec(mode="Plan", **WITH_VM), abilities=bare))
    assert decision.status.phase is Phase.PLANNING


def test_a_spec_that_the_status_cannot_hold_is_refused():
    labels = {f"example.com/{number:02}": "x" * 4096 for number in range(40)}
    decision = decide(observed(spec=make_spec(job={"annotations": labels})))
    assert decision.status.failure.reason == "InvalidSpec"


MISSING = SpecError(Reason.PROFILE_NOT_FOUND, "spec.profiles: there is no MigrationProfile 'fast'")


def test_a_profile_is_waited_for_and_missed_in_the_end():
    o = observed(spec=MISSING)
    first = decide(o)
    assert first.status.phase is Phase.PENDING
    assert first.status.blocked.reason == "ProfileNotFound"
    assert first.occurrences
    applied = decide(later(o, first, 60, spec=make_spec()))
    assert applied.status.phase is Phase.PLANNING
    assert applied.status.blocked is None
    missed = decide(later(o, first, SETTINGS.start_deadline + 1))
    assert missed.status.failure.reason == "ProfileNotFound"


def test_one_that_missed_its_profile_starts_when_that_is_there():
    status = decide(later(observed(spec=MISSING), decide(observed(spec=MISSING)), 10_000)).status
    assert decide(observed(spec=MISSING, status=status)).status.phase is Phase.FAILED
    decision = decide(observed(status=status))
    assert decision.status.phase is Phase.PENDING
    assert decision.requeue == 0


def test_cancelling_needs_no_spec_that_can_be_resolved():
    decision = decide(observed(spec=MISSING, cancel=True))
    assert decision.status.phase is Phase.CANCELLED


HANDED_OFF = [disk.replaced(handed_off=True) for disk in DISKS]


def test_disks_that_were_handed_off_are_not_planned_again():
    spec = make_spec(target={"virtualMachine": {"create": True, "name": "other"}})
    before = yaml.safe_dump(make_spec(**WITH_VM).to_object())
    status = make_status(Phase.PENDING, machine=MACHINE, disks=HANDED_OFF, effective_spec=before)
    decision = decide(observed(spec=spec, status=status))
    assert decision.status.phase is Phase.HANDING_OFF
    assert decision.status.virtual_machine_name == "other"
    assert [disk.handed_off for disk in decision.status.disks] == [True, True]


def test_hardware_that_was_corrected_after_the_handoff_counts():
    before = yaml.safe_dump(make_spec(**WITH_VM).to_object())
    status = make_status(Phase.PENDING, machine=MACHINE, disks=HANDED_OFF, effective_spec=before)
    decision = decide(observed(spec=make_spec(**WITH_VM, machine={"memory": "8Gi"}), status=status))
    assert decision.status.phase is Phase.HANDING_OFF
    assert decision.status.machine.memory == 8 << 30


def test_what_was_handed_off_by_another_version_that_is_not_understood_is_a_failure_with_a_reason():
    stored = make_spec().to_object() | {"mode": "Teleport"}
    status = make_status(Phase.PENDING, machine=MACHINE, disks=HANDED_OFF, effective_spec=yaml.safe_dump(stored))
    decision = decide(observed(status=status))
    assert decision.status.failure.reason == "InvalidSpec"


def test_what_disks_were_made_for_is_fixed_once_they_were_handed_off():
    before = yaml.safe_dump(make_spec().to_object())
    status = make_status(Phase.PENDING, machine=MACHINE, disks=HANDED_OFF, effective_spec=before)
    decision = decide(observed(spec=make_spec(target={"disks": {"bus": "sata"}}), status=status))
    assert decision.status.failure.reason == "InvalidSpec"
    assert "handed off" in decision.status.failure.message
    assert [disk.handed_off for disk in decision.status.disks] == [True, True]
