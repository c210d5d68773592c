import pytest

from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.reconcile.migration.abilities import AbilityReader


class Answers:
    """Stands in for the client: a cluster's answers."""

    def __init__(self, config=None, allocatable=None, *, serves=False):
        self.config = config
        self.kubevirt = serves
        self.nodes = [{"status": {"allocatable": allocatable or {}}}]
        self.asked = 0

    def get(self, resource, namespace, name):
        assert resource is Resources.CDI_CONFIG.value
        self.asked += 1
        return self.config

    def list(self, resource):
        assert resource is Resources.NODE.value
        return self.nodes

    def serves(self, resource):
        return self.kubevirt


# KubeVirt's device plugin offers a thousand by default, which Kubernetes writes as 1k.
@pytest.mark.parametrize(("offered", "nodes"), [("1k", 1), ("110", 1), ("0", 0), (None, 0)])
def test_a_node_offers_kvm_in_any_quantity(offered, nodes):
    allocatable = {"devices.kubevirt.io/kvm": offered} if offered else {}
    assert AbilityReader(Answers(allocatable=allocatable)).read().kvm_nodes == nodes


def test_overheads_are_cdis():
    told = {"status": {"filesystemOverhead": {"global": "0.06", "storageClass": {"slow": "0.1"}}}}
    found = AbilityReader(Answers(told)).read()
    assert found.cdi
    assert (found.overheads.of("fast"), found.overheads.of("slow")) == (0.06, 0.1)


@pytest.mark.parametrize(("whole", "moments"), [(True, (0, 59, 61)), (False, (0, 4, 6))], ids=["whole", "lacking"])
def test_the_cluster_is_asked_again_after_a_while_and_sooner_where_it_lacks_something(whole, moments):
    now = [0.0]
    answers = Answers({} if whole else None, serves=whole)
    reader = AbilityReader(answers, lambda: now[0])
    for moment in moments:
        now[0] = moment
        reader.read()
    assert answers.asked == 2
