"""A guest that was copied unchanged: told by the pod, kept in the status, and given a machine with devices it knows."""

from hyper2kvm_api.migration import Phase
from hyper2kvm_operator.reconcile.migration.decide import decide
from hyper2kvm_operator.reconcile.migration.decision import Ensure
from hyper2kvm_operator.reconcile.migration.observed import DataVolumeState, JobOutcome
from unit.operator.situations import RESULT, WRITTEN, job, later, make_spec, make_status, observed, pod

WITH_VM = make_spec(target={"virtualMachine": {"create": True}})


def test_what_the_pod_says_of_the_repair_is_kept():
    ended = job(outcome=JobOutcome.SUCCEEDED, pod=pod(exit_code=0, result=RESULT.replaced(repaired=False)))
    assert decide(observed(Phase.CONVERTING, convert_job=ended, claims=WRITTEN)).status.repaired is False


def test_its_machine_has_devices_that_it_knows():
    status = make_status(Phase.HANDING_OFF, repaired=False)
    volumes = tuple(DataVolumeState(disk.claim_name, "uid", "Succeeded") for disk in status.disks)
    o = observed(Phase.HANDING_OFF, spec=WITH_VM, status=status, data_volumes=volumes)
    decision = decide(later(o, decide(o), 1))
    made = next(a.value for a in decision.actions if isinstance(a, Ensure) and a.value["kind"] == "VirtualMachine")
    devices = made["spec"]["template"]["spec"]["domain"]["devices"]
    assert {disk["disk"]["bus"] for disk in devices["disks"]} == {"sata"}
    assert {interface["model"] for interface in devices["interfaces"]} == {"e1000e"}
