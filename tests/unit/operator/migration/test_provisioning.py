from dataclasses import replace

import pytest

from hyper2kvm_api.migration import Phase
from hyper2kvm_api.options import VolumeMode
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.reconcile.migration.decide import decide
from hyper2kvm_operator.reconcile.migration.decision import (
    Delete,
    Ensure,
)
from hyper2kvm_operator.reconcile.migration.observed import DataVolumeState
from unit.operator.situations import (
    DISKS,
    IMPORT,
    KEY,
    claim,
    kinds,
    make_spec,
    make_status,
    observed,
)


def test_claims_are_made():
    decision = decide(observed(Phase.PROVISIONING))
    assert kinds(decision, Ensure) == [
        ("PersistentVolumeClaim", "web01-disk0"),
        ("PersistentVolumeClaim", "web01-disk1"),
        ("PersistentVolumeClaim", "web01-workspace"),
    ]
    assert decision.status.phase is Phase.CONVERTING


def test_an_import_writes_to_claims_of_its_own():
    decision = decide(observed(Phase.PROVISIONING, make_spec(**IMPORT)))
    names = [name for kind, name in kinds(decision, Ensure) if kind == "PersistentVolumeClaim"]
    assert names == ["web01-disk0-artifact", "web01-disk1-artifact", "web01-workspace"]


@pytest.mark.parametrize(("job", "stated"), [({}, None), ({"workspace": {"storageClassName": "slow"}}, "slow")])
def test_an_image_that_cdi_imports_is_on_the_workspaces_class(job, stated):
    disks = {"format": "qcow2", "storageClassName": "fast-block", "volumeMode": "Block"}
    decision = decide(observed(Phase.PROVISIONING, make_spec(target={"disks": disks}, job=job)))
    (_, image, *_, workspace) = (action.value["spec"] for action in decision.actions if isinstance(action, Ensure))
    assert image["volumeMode"] == "Filesystem"
    assert image.get("storageClassName") == workspace.get("storageClassName") == stated


@pytest.mark.parametrize(("spec", "modes"), [(IMPORT, ["ReadWriteOnce"]), ({}, ["ReadWriteMany"])])
def test_what_cdi_only_reads_needs_no_volume_that_several_may_write(spec, modes):
    target = spec.get("target", {})
    disks = {**target.get("disks", {}), "accessModes": ["ReadWriteMany"], "volumeMode": "Block"}
    decision = decide(observed(Phase.PROVISIONING, make_spec(target={**target, "disks": disks})))
    assert decision.actions[0].value["spec"]["accessModes"] == modes


@pytest.mark.parametrize("length", [40, 52, 57, 63, 200])
@pytest.mark.parametrize("spec", [{}, IMPORT], ids=["adopt", "import"])
def test_each_disk_has_a_claim_and_a_volume_of_its_own_however_long_the_name_is(length, spec):
    key = replace(KEY, name="w" * length)
    disks = [disk.replaced(claim_name=key.child(f"disk{n}")) for n, disk in enumerate(DISKS)]
    o = observed(spec=make_spec(**spec), status=make_status(Phase.CONVERTING, disks=disks), key=key)
    claims = [
        name for kind, name in kinds(decide(replace(o, status=o.status.replaced(phase=Phase.PROVISIONING))), Ensure)
    ]
    assert len(set(claims)) == 3
    (job,) = (action.value for action in decide(o).actions if isinstance(action, Ensure))
    volumes = job["spec"]["template"]["spec"]["volumes"]
    names = [volume["name"] for volume in volumes]
    mounted = {volume["persistentVolumeClaim"]["claimName"] for volume in volumes if "persistentVolumeClaim" in volume}
    assert len(set(names)) == len(names)
    assert max(map(len, [*claims, *names])) <= 63
    assert mounted == {*claims, "exports"}


GIB = 1 << 30


@pytest.mark.parametrize(
    ("changes", "spec"),
    [
        ({"storage_class": "slow"}, {"target": {"disks": {"storageClassName": "fast"}}}),
        ({"mode": VolumeMode.BLOCK}, {}),
        ({"access_modes": ("ReadWriteMany",)}, {}),
        ({"requested": GIB}, {}),
        ({"going": True}, {}),
    ],
    ids=["class", "mode", "access modes", "size", "going"],
)
def test_a_claim_that_was_made_for_an_earlier_spec_is_replaced(changes, spec):
    """1 GiB is not enough for a disk of 1 GiB: the file system takes its share."""
    old = claim("web01-disk0", **{"storage_class": "fast", "requested": 2 * GIB} | changes)
    decision = decide(observed(Phase.PROVISIONING, make_spec(**spec), claims=(old,)))
    assert decision.status.phase is Phase.PROVISIONING
    assert decision.actions == (Delete(Resources.CLAIM.value, "web01-disk0", "uid-web01-disk0"),)
    assert decision.requeue


def test_with_a_disks_claim_goes_the_workspace_which_says_what_was_done_to_it():
    old = claim("web01-disk0", storage_class="slow", requested=2 * GIB)
    kept = claim("web01-disk1", storage_class="fast", requested=3 * GIB)
    workspace = claim("web01-workspace", storage_class="fast", requested=4 * GIB)
    spec = make_spec(target={"disks": {"storageClassName": "fast"}})
    decision = decide(observed(Phase.PROVISIONING, spec, claims=(old, kept, workspace)))
    assert [name for _, name in kinds(decision, Delete)] == ["web01-disk0", "web01-workspace"]


def test_a_claim_that_was_made_to_be_adopted_is_not_in_the_way_of_an_import():
    """CDI makes the claim of its DataVolume itself, and refuses one whose claim is there. Its own stay."""
    made = (claim("web01-disk0"), claim("web01-disk1"), claim("web01-disk1-artifact", requested=9 * GIB))
    volumes = (DataVolumeState("web01-disk1", "uid-1", "Succeeded"),)
    decision = decide(observed(Phase.PROVISIONING, make_spec(**IMPORT), claims=made, data_volumes=volumes))
    assert kinds(decision, Delete) == [("PersistentVolumeClaim", "web01-disk0")]
    disks = [disk.replaced(handed_off=True) for disk in DISKS]
    status = make_status(Phase.PROVISIONING, disks=disks)
    assert not kinds(decide(observed(spec=make_spec(**IMPORT), status=status, claims=made)), Delete)


@pytest.mark.parametrize("requested", [2 * GIB, None])
def test_a_claim_that_fits_is_kept_with_what_is_on_it(requested):
    kept = claim("web01-disk0", storage_class="fast", requested=requested)
    decision = decide(observed(Phase.PROVISIONING, claims=(kept,)))
    assert decision.status.phase is Phase.CONVERTING
    assert not kinds(decision, Delete)
