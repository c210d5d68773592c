import importlib
import os
import sys

import pytest

from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from lab.cluster import addons, lifecycle, namespace, traces
from lab.cluster.cluster import Cluster
from lab.cluster.layout import APART, RUN, SPARE, Layout
from lab.cluster.lifecycle import image_sets

NOWHERE = Layout("absent", 3)


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


@pytest.mark.parametrize("left", [[], [SPARE], [APART], [SPARE, APART]])
def test_clusters_that_killed_tests_left_go_with_the_first(monkeypatch, left):
    """The kernel's settings are noted by each as it finds them: the first one's are the machine's own."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    command = importlib.import_module("lab.cluster.__main__")
    found = []
    monkeypatch.setattr(traces, "remaining", lambda layout: ["its link"] if layout in left else [])
    monkeypatch.setattr(lifecycle, "down", found.append)
    assert command.main(["down"]) == 0
    assert found == [*left, RUN]
