import pytest

from hyper2kvm_operator.kube.cache import Cache
from hyper2kvm_operator.kube.resources import MIGRATION_LABEL, Resources

JOB = Resources.JOB.value


def job(uid="u1", version="5", name="web01-convert", owner="m1"):
    labels = {MIGRATION_LABEL: owner}
    return {"metadata": {"namespace": "ns", "name": name, "uid": uid, "resourceVersion": version, "labels": labels}}


def test_news_that_come_late_do_not_undo_what_is_known():
    cache = Cache()
    cache.put(JOB, job(version="10"))
    cache.put(JOB, job(version="9"))
    assert cache.get(JOB, "ns", "web01-convert")["metadata"]["resourceVersion"] == "10"


def test_the_end_of_an_object_does_not_end_the_one_that_took_its_name():
    cache = Cache()
    cache.put(JOB, job(uid="old", version="5"))
    cache.put(JOB, job(uid="new", version="8"))
    cache.drop(JOB, job(uid="old", version="7"))
    assert [one["metadata"]["uid"] for one in cache.children(JOB, "m1")] == ["new"]
    assert cache.place("old") is None


@pytest.mark.parametrize("told", [True, False], ids=["told of the end", "not told"])
def test_nothing_is_kept_of_an_object_whose_name_another_has_taken(told):
    cache = Cache()
    cache.put(JOB, job(uid="old", owner="m1"))
    cache.put(JOB, job(uid="new", version="8", owner="m2"))
    if told:
        cache.drop(JOB, job(uid="old", version="7", owner="m1"))
    assert cache.place("old") is None
    assert set(cache._children) == {"m2"}


def test_the_answer_to_a_write_does_not_bring_back_what_is_gone():
    cache = Cache()
    cache.put(JOB, job())
    cache.answered(JOB, job(version="6"))
    assert cache.get(JOB, "ns", "web01-convert")["metadata"]["resourceVersion"] == "6"
    cache.drop(JOB, job(version="7"))
    cache.answered(JOB, job(version="6"))
    assert cache.get(JOB, "ns", "web01-convert") is None


def test_what_is_known_of_a_namespace_is_known_by_uid():
    cache = Cache()
    for uid, namespace in (("u1", "a"), ("u2", "b")):
        value = job(uid=uid)
        value["metadata"]["namespace"] = namespace
        cache.put(JOB, value)
    assert (cache.uids(JOB, "b"), cache.uids(JOB, None)) == ({"u2"}, {"u1", "u2"})


def test_others_see_of_a_migration_where_it_stands_and_what_it_takes():
    cache = Cache()
    status = {"phase": "Converting", "blocked": {"reason": "Suspended"}, "virtualMachineName": "web01"}
    value = job()
    value["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    value |= {"spec": {"suspend": True, "source": {}}, "status": {**status, "machine": {"name": "web01"}}}
    cache.put(JOB, job(uid="u2", name="a-child"))
    cache.put(Resources.MIGRATION.value, value)
    (seen,) = cache.migrations()
    assert seen.place == ("ns", "web01-convert")
    assert (seen.uid, seen.created, seen.held) == ("u1", "2026-01-01T00:00:00Z", True)
    assert (seen.phase, seen.blocked, seen.virtual_machine) == ("Converting", "Suspended", "web01")
    assert cache.get(Resources.MIGRATION.value, "ns", "web01-convert")["status"] == value["status"]


def test_children_are_known_by_their_migration():
    cache = Cache()
    cache.put(JOB, job())
    cache.put(JOB, job(uid="u2", name="web02-convert", owner="m2"))
    assert [one["metadata"]["name"] for one in cache.children(JOB, "m2")] == ["web02-convert"]
    cache.drop(JOB, job())
    assert cache.children(JOB, "m1") == []


def test_of_a_childs_spec_only_what_is_read_is_kept():
    cache = Cache()
    value = job()
    value["metadata"]["managedFields"] = [{"manager": "hyper2kvm"}]
    value["spec"] = {"suspend": True, "template": {"spec": {}}}
    cache.put(JOB, value)
    kept = cache.get(JOB, "ns", "web01-convert")
    assert kept["spec"] == {"suspend": True}
    assert "managedFields" not in kept["metadata"]
    assert "template" in value["spec"]
