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
