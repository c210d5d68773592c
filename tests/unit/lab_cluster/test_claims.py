from dataclasses import replace
from pathlib import Path

import pytest

from lab.cluster.claims import Claim, is_left
from lab.cluster.volumes import VolumeMode

BINDINGS = {"lab-wait": "WaitForFirstConsumer", "lab-immediate": "Immediate"}
DOCUMENT = {
    "metadata": {"namespace": "vms", "name": "disk", "uid": "1234"},
    "spec": {
        "storageClassName": "lab-immediate",
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    },
}
CLAIM = Claim.read(DOCUMENT)


def test_a_claim_without_a_mode_is_a_file_system():
    assert CLAIM.mode is VolumeMode.FILESYSTEM


@pytest.mark.parametrize(
    ("storage_class", "node", "settled", "expected"),
    [
        ("lab-immediate", "", False, True),
        ("lab-immediate", "", True, False),
        ("lab-wait", "", False, False),
        ("lab-wait", "lab", False, True),
        ("lab-wait", "lab", True, False),
        ("lab-wait", "another", False, False),
        ("somebody-elses", "lab", False, False),
        ("", "lab", False, False),
    ],
)
def test_when_a_claim_gets_its_volume(storage_class, node, settled, expected):
    claim = replace(CLAIM, storage_class=storage_class, node=node, settled=settled)
    assert claim.waits(BINDINGS) is expected


@pytest.mark.parametrize(
    ("metadata", "spec"), [({"deletionTimestamp": "2026-01-01T00:00:00Z"}, {}), ({}, {"volumeName": "pvc-1234"})]
)
def test_a_claim_that_is_bound_or_goes_is_settled(metadata, spec):
    document = {"metadata": DOCUMENT["metadata"] | metadata, "spec": DOCUMENT["spec"] | spec}
    assert Claim.read(document).settled


def test_the_scheduler_says_where_a_claims_first_pod_goes():
    annotations = {"volume.kubernetes.io/selected-node": "lab"}
    document = {"metadata": DOCUMENT["metadata"] | {"annotations": annotations}, "spec": DOCUMENT["spec"]}
    assert Claim.read(document).node == "lab"


def test_a_volume_is_its_claims_and_the_nodes():
    volume = CLAIM.persistent_volume(Path("/volumes/pvc-1234"))
    assert volume["metadata"]["name"] == "pvc-1234"
    assert volume["spec"]["claimRef"]["uid"] == "1234"
    assert volume["spec"]["capacity"] == {"storage": "1Gi"}
    assert volume["spec"]["local"] == {"path": "/volumes/pvc-1234"}
    assert "lab" in str(volume["spec"]["nodeAffinity"])


@pytest.mark.parametrize(("phase", "left"), [("Bound", False), ("Released", True), ("Failed", False)])
def test_a_volume_is_left_when_its_claim_has_gone(phase, left):
    volume = CLAIM.persistent_volume(Path("/v")) | {"status": {"phase": phase}}
    assert is_left(volume) is left


def test_a_volume_of_somebody_else_is_not_touched():
    assert not is_left({"metadata": {"name": "nfs"}, "status": {"phase": "Released"}})
