from dataclasses import replace

import pytest

from hyper2kvm_api.machine import Firmware
from hyper2kvm_api.migration import Phase
from hyper2kvm_api.reasons import Reason
from hyper2kvm_operator.build.imageserver import server_name
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.reconcile.migration.decide import cleared, decide
from hyper2kvm_operator.reconcile.migration.decision import (
    Delete,
    Ensure,
    IssueCertificate,
    Merge,
    failed,
    failure_for,
)
from hyper2kvm_operator.reconcile.migration.observed import (
    DataVolumeState,
    Trouble,
)
from unit.operator.situations import (
    CDI,
    DISKS,
    IMPORT,
    KEY,
    SETTINGS,
    WITH_VM,
    WRITTEN,
    condition,
    kinds,
    later,
    make_spec,
    make_status,
    observed,
    pod,
    volumes,
)


def test_adopting_releases_claims_and_says_so_before_it_makes_data_volumes():
    """Whatever is refused then: the disks are nobody's but the user's, and are never removed."""
    o = observed(Phase.HANDING_OFF)
    released = decide(o)
    assert kinds(released, Merge) == [
        ("PersistentVolumeClaim", "web01-disk0"),
        ("PersistentVolumeClaim", "web01-disk1"),
    ]
    release = released.actions[0].patch["metadata"]
    assert release["ownerReferences"] is None
    assert release["annotations"] == {"cdi.kubevirt.io/storage.populatedFor": "web01-disk0"}
    assert all(d.handed_off for d in released.status.disks)
    assert not kinds(released, Ensure)
    making = decide(later(o, released, 1))
    assert kinds(making, Ensure) == [("DataVolume", "web01-disk0"), ("DataVolume", "web01-disk1")]
    assert not kinds(making, Merge)
    half = decide(later(o, released, 1, data_volumes=volumes("Pending")))
    assert kinds(half, Ensure) == [("DataVolume", "web01-disk1")]


def adopting(spec=None, **fields):
    """The same when the claims have been released."""
    o = observed(Phase.HANDING_OFF, spec, **fields)
    return later(o, decide(o), 0)


def test_it_waits_until_every_data_volume_has_succeeded():
    decision = decide(adopting(data_volumes=volumes("Succeeded", "Pending")))
    assert decision.status.phase is Phase.HANDING_OFF
    assert "web01-disk1 Pending" in condition(decision, "HandedOff").message
    assert not decision.actions


def test_without_a_virtual_machine_it_ends_there():
    decision = decide(adopting(data_volumes=volumes("Succeeded", "Succeeded")))
    assert decision.status.phase is Phase.SUCCEEDED
    assert condition(decision, "HandedOff").reason == "Adopt"
    assert condition(decision, "Ready").status == "True"


def test_the_virtual_machine_comes_last_and_owns_the_disks():
    status = make_status(Phase.HANDING_OFF, virtual_machine_name="web", firmware=Firmware.UEFI, boot_disk="scsi0:1")
    done = volumes("Succeeded", "Succeeded")
    o = observed(spec=make_spec(**WITH_VM), status=status, data_volumes=done)
    released = later(o, decide(o), 1)
    making = decide(released)
    assert kinds(making, Ensure) == [("VirtualMachine", "web")]
    assert making.status.phase is Phase.HANDING_OFF
    made = decide(replace(released, virtual_machine="vm-uid"))
    assert made.status.phase is Phase.SUCCEEDED
    assert kinds(made, Merge) == [("DataVolume", "web01-disk0"), ("DataVolume", "web01-disk1")]
    assert made.actions[0].patch["metadata"]["ownerReferences"][0]["uid"] == "vm-uid"


def test_without_cdi_the_claims_themselves_are_the_disks():
    status = make_status(Phase.HANDING_OFF, virtual_machine_name="web")
    bare = replace(CDI, cdi=False)
    o = observed(spec=make_spec(**WITH_VM), status=status, abilities=bare, claims=WRITTEN)
    released = decide(o)
    assert kinds(released, Merge) == [
        ("PersistentVolumeClaim", "web01-disk0"),
        ("PersistentVolumeClaim", "web01-disk1"),
    ]
    assert all(disk.handed_off for disk in released.status.disks)
    making = decide(later(o, released, 1))
    (vm,) = (a.value for a in making.actions if isinstance(a, Ensure))
    assert vm["spec"]["template"]["spec"]["volumes"][0] == {
        "name": "disk0",
        "persistentVolumeClaim": {"claimName": "web01-disk0"},
    }
    made = decide(later(o, making, 1, virtual_machine="vm-uid"))
    assert made.status.phase is Phase.SUCCEEDED
    assert kinds(made, Merge) == [("PersistentVolumeClaim", "web01-disk0"), ("PersistentVolumeClaim", "web01-disk1")]
    assert condition(made, "HandedOff").message.endswith("CDI is not installed: the claims themselves are the disks")


@pytest.mark.parametrize("cdi", [True, False])
@pytest.mark.parametrize("there", [WRITTEN[:1], (WRITTEN[0], replace(WRITTEN[1], going=True))], ids=["gone", "going"])
def test_a_disk_that_somebody_has_deleted_is_not_replaced_by_an_empty_one(there, cdi):
    o = observed(Phase.HANDING_OFF, claims=there, abilities=replace(CDI, cdi=cdi), data_volumes=volumes("Succeeded"))
    decision = decide(o)
    assert decision.status.failure.reason == "HandoffFailed"
    assert "web01-disk1" in decision.status.failure.message
    assert not decision.actions


def test_an_import_serves_the_images_and_removes_the_server_afterwards():
    spec = make_spec(**IMPORT)
    first = decide(observed(Phase.HANDING_OFF, spec))
    assert any(isinstance(a, IssueCertificate) for a in first.actions)
    assert kinds(first, Ensure) == [("Pod", SERVER), ("Service", SERVER)]
    started = {**SERVING, "serve_pod": pod()}
    assert not decide(observed(Phase.HANDING_OFF, spec, **started)).actions
    assert kinds(decide(observed(Phase.HANDING_OFF, spec, **SERVING)), Ensure) == [
        ("DataVolume", "web01-disk0"),
        ("DataVolume", "web01-disk1"),
    ]
    o = observed(Phase.HANDING_OFF, spec, data_volumes=volumes("Succeeded", "Succeeded"), **SERVING)
    released = decide(o)
    assert [kind for kind, _ in kinds(released, Delete)] == SERVERS_PARTS
    assert kinds(released, Merge) == [("DataVolume", "web01-disk0"), ("DataVolume", "web01-disk1")]
    assert all(disk.handed_off for disk in released.status.disks)
    assert decide(later(o, released, 1)).status.phase is Phase.SUCCEEDED


@pytest.mark.parametrize("found", [pod(), pod(running=True), pod(trouble=Trouble("FailedMount", "secret not found"))])
def test_a_server_that_was_made_before_its_credentials_is_replaced(found):
    """After a crash between the two: it may have mounted a Secret that is made anew now."""
    decision = decide(observed(Phase.HANDING_OFF, make_spec(**IMPORT), serve_pod=found))
    assert [kind for kind, _ in kinds(decision, Delete)] == ["Pod"]
    assert isinstance(decision.actions[-1], IssueCertificate)
    assert kinds(decision, Ensure) == [("Service", SERVER)]


SERVER = server_name(KEY)
SERVING = {"serve_pod": pod(running=True), "certificate": True}
SERVERS_PARTS = ["Secret", "ConfigMap", "Service", "Pod"]
"""The pod goes last: as long as it is there, the rest is looked for."""


def test_an_import_that_fails_again_and_again_is_a_failure_in_cdis_words_and_leaves_nothing_at_work():
    broken = DataVolumeState("web01-disk0", "uid-0", "ImportInProgress", message="Unable to connect", restarts=4)
    done = DataVolumeState("web01-disk1", "uid-1", "Succeeded")
    o = observed(Phase.HANDING_OFF, make_spec(**IMPORT), data_volumes=(broken, done), **SERVING)
    decision = decide(o)
    assert decision.status.failure.reason == "HandoffFailed"
    assert "Unable to connect" in decision.status.failure.message
    imports = [("DataVolume", "web01-disk0"), ("DataVolume", "web01-disk1")]
    assert kinds(decision, Delete) == [*imports, *((kind, SERVER) for kind in SERVERS_PARTS)]


@pytest.mark.parametrize(("restarts", "reason"), [(4, None), (6, None), (7, "HandoffFailed")])
def test_cdis_words_are_waited_for_while_an_importer_runs_but_not_for_ever(restarts, reason):
    at_work = DataVolumeState("web01-disk0", "uid-0", "ImportInProgress", restarts=restarts)
    others = volumes("ImportInProgress", "ImportInProgress")[1:]
    o = observed(Phase.HANDING_OFF, make_spec(**IMPORT), data_volumes=(at_work, *others), **SERVING)
    failure = decide(o).status.failure
    assert (failure and failure.reason) == reason
    assert failure is None or "started again 7 times" in failure.message


def test_a_disk_that_was_imported_does_not_stay_beside_those_of_a_later_conversion():
    """An edit may have all of them converted anew: what spans disks, a volume group say, would not fit together."""
    o = observed(Phase.HANDING_OFF, make_spec(**IMPORT), data_volumes=volumes("Succeeded", "Failed"), **SERVING)
    assert ("DataVolume", "web01-disk0") in kinds(decide(o), Delete)
    released = observed(Phase.HANDING_OFF, make_spec(**IMPORT), data_volumes=volumes("Succeeded", "Succeeded"))
    refused = cleared(
        later(released, decide(released), 1), failed(released, failure_for(Reason.VIRTUAL_MACHINE_REFUSED, ""))
    )
    assert not kinds(refused, Delete)


@pytest.mark.parametrize("names", [1, 9])
def test_progress_of_any_disk_is_told_however_many_there_are(names):
    """The line is cut where the status ends: what moves may be behind it."""

    def shown(percent):
        there = [DataVolumeState(f"{'v' * 60}-disk{n}", f"uid-{n}", "Succeeded") for n in range(names - 1)]
        moving = DataVolumeState("last", "uid-last", "ImportInProgress", progress=f"{percent}%")
        return decide(adopting(data_volumes=(*there, moving))).status.progress

    assert shown(1.25) != shown(1.75)
    assert "last ImportInProgress 1.25%" in shown(1.25)


def test_a_failed_adoption_keeps_the_disks():
    broken = DataVolumeState("web01-disk0", "uid-0", "Failed")
    decision = decide(adopting(data_volumes=(broken, *volumes("Pending", "Succeeded")[1:])))
    assert decision.status.failure.reason == "HandoffFailed"
    assert not kinds(decision, Delete)


def test_a_server_whose_pod_has_ended_is_started_again():
    o = observed(Phase.HANDING_OFF, make_spec(**IMPORT), serve_pod=pod(ended=True), certificate=True)
    decision = decide(o)
    assert decision.actions == (Delete(Resources.POD.value, "web01-convert-x", "uid-pod"),)
    assert decision.requeue
    assert kinds(decide(later(o, decision, 2, serve_pod=None)), Ensure)[0] == ("Pod", SERVER)


def test_a_server_that_does_not_start_is_told_and_missed_in_the_end():
    stuck = pod(age=25, trouble=Trouble("ImagePullBackOff", "no such image"))
    o = observed(Phase.HANDING_OFF, make_spec(**IMPORT), serve_pod=stuck, certificate=True)
    first = decide(o)
    assert condition(first, "HandedOff").reason == "ImagePullFailed"
    ended = decide(later(o, first, SETTINGS.start_deadline + 1))
    assert ended.status.failure.reason == "ImagePullFailed"
    assert [kind for kind, _ in kinds(ended, Delete)] == SERVERS_PARTS


def test_cdi_is_waited_for_as_long_as_it_tells_something_new():
    o = observed(Phase.HANDING_OFF, since=100_000, data_volumes=volumes("Pending", "Pending"))
    first = decide(o)
    assert first.status.failure is None
    patience = 3 * SETTINGS.start_deadline
    moved = later(o, first, patience - 1, data_volumes=volumes("ImportInProgress 12.50%", "Pending"))
    assert decide(later(moved, decide(moved), patience - 1)).status.failure is None
    still = decide(later(moved, decide(moved), patience + 1))
    assert still.status.failure.reason == "HandoffFailed"
    assert "web01-disk0 ImportInProgress" in still.status.failure.message


@pytest.mark.parametrize("phase", ["ImportInProgress", "ImportInProgress N/A"])
def test_an_import_that_cdi_has_no_numbers_of_has_the_time_that_its_bytes_may_take(phase):
    """Where CDI cannot reach its importer's metrics, nothing changes between the begin and the end."""
    o = observed(Phase.HANDING_OFF, since=100_000, data_volumes=volumes(phase, "Succeeded"))
    o = later(o, decide(o), 1)
    patience = 3 * SETTINGS.start_deadline + DISKS[0].capacity / (4 << 20)
    assert decide(later(o, decide(o), patience - 1)).status.failure is None
    assert decide(later(o, decide(o), patience + 1)).status.failure.reason == "HandoffFailed"


def test_without_a_handoff_the_images_stay():
    decision = decide(observed(Phase.HANDING_OFF, make_spec(target={"handoff": "None"})))
    assert decision.status.phase is Phase.SUCCEEDED


def test_the_longest_name_of_a_machine_fits_into_the_status():
    name = "v" * 63
    status = make_status(Phase.HANDING_OFF, virtual_machine_name=name)
    bare = replace(CDI, cdi=False)
    o = observed(spec=make_spec(**WITH_VM), status=status, abilities=bare, virtual_machine="vm-uid")
    assert name in decide(later(o, decide(o), 1)).status.progress
