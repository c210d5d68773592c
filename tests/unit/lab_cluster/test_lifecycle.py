import os

import pytest

from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from lab.cluster import addons, lifecycle, namespace, traces
from lab.cluster.cluster import Cluster
from lab.cluster.layout import Layout
from lab.cluster.lifecycle import image_sets

NOWHERE = Layout("absent", 19)


@pytest.mark.parametrize("change", [lambda: lifecycle.up(NOWHERE, [addons.CDI]), lambda: lifecycle.down(NOWHERE)])
def test_a_cluster_needs_root(monkeypatch, change):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(HostError) as caught:
        change()
    assert caught.value.reason is Reason.WORKSPACE_UNUSABLE
    assert "sudo" in caught.value.hint


def test_a_cluster_that_never_was_has_no_processes_and_no_traces():
    assert namespace.find(NOWHERE) is None
    assert not namespace.end(NOWHERE)
    assert traces.remaining(NOWHERE) == []


def test_what_needs_a_running_cluster_says_how_to_start_one():
    with pytest.raises(HostError) as caught:
        Cluster(NOWHERE).node_exec("true")
    assert "python tests/lab/cluster up" in caught.value.hint


def test_an_addon_brings_its_images():
    assert [images.name for images in image_sets([])] == ["pause", "tools"]
    assert [images.name for images in image_sets([addons.CDI, addons.KUBEVIRT])] == [
        "pause",
        "tools",
        "cdi",
        "kubevirt",
    ]


def test_a_process_is_a_member_of_its_own_tree():
    assert os.getpid() in namespace.members(os.getppid())
