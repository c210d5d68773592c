import threading

import pytest

from hyper2kvm_operator.kube.errors import UnreachableError
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.reconcile.migration.abilities import AbilityReader


class Answers:
    """Stands in for the client: a cluster's answers."""

    def __init__(self, config=None, allocatable=None, *, serves=False, classes=()):
        self.config = config
        self.classes = list(classes)
        self.away = False
        self.kubevirt = serves
        self.nodes = [{"status": {"allocatable": allocatable or {}}}]
        self.asked = 0

    def get(self, resource, namespace, name):
        assert resource is Resources.CDI_CONFIG.value
        self.asked += 1
        if self.away:
            raise UnreachableError("no")
        return self.config

    def list(self, resource):
        return {Resources.NODE.value: self.nodes, Resources.STORAGE_CLASS.value: self.classes}[resource]

    def each(self, resource):
        yield from self.list(resource)

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


def test_nothing_is_missed_that_was_made_a_moment_ago():
    now = [0.0]
    answers = Answers({}, serves=True)
    reader = AbilityReader(answers, lambda: now[0])
    reader.read()
    answers.classes = [storage_class("fast", "2026-01-01T00:00:00Z")]
    now[0] = 1.0
    assert reader.read(lambda found: "fast" in found.storage_classes).storage_classes == {"fast"}
    assert reader.read().storage_classes == {"fast"}
    assert answers.asked == 2


def storage_class(name, created, default=None):
    annotations = {"storageclass.kubernetes.io/is-default-class": default} if default else {}
    return {"metadata": {"name": name, "creationTimestamp": created, "annotations": annotations}}


def test_of_several_default_classes_the_newest_is_meant():
    classes = [
        storage_class("slow", "2026-01-01T00:00:00Z", "true"),
        storage_class("fast", "2026-02-01T00:00:00Z", "true"),
        storage_class("other", "2026-03-01T00:00:00Z", "false"),
    ]
    found = AbilityReader(Answers(classes=classes)).read()
    assert found.default_class == "fast"
    assert found.storage_classes == {"slow", "fast", "other"}
    assert AbilityReader(Answers(classes=classes[2:])).read().default_class is None


def test_what_is_known_counts_while_nobody_answers():
    now = [0.0]
    answers = Answers({}, serves=True)
    reader = AbilityReader(answers, lambda: now[0])
    known = reader.read()
    answers.away = True
    now[0] = 100
    assert reader.read() == known
    with pytest.raises(UnreachableError):
        AbilityReader(answers).read()


def test_only_one_worker_waits_for_an_answer_that_is_slow():
    """The others go on with what is known: a worker that waits long is taken for dead."""
    now, asked, go_on = [0.0], threading.Event(), threading.Event()
    answers = Answers({}, serves=True)
    reader = AbilityReader(answers, lambda: now[0])
    reader.read()
    now[0] = 100

    def serves(_):
        asked.set()
        return go_on.wait(10)

    answers.serves = serves
    slow = threading.Thread(target=reader.read)
    slow.start()
    assert asked.wait(10)
    assert reader.read().kubevirt
    go_on.set()
    slow.join(10)
    assert answers.asked == 2
