import threading

import pytest

from hyper2kvm_operator.kube.cache import Cache
from hyper2kvm_operator.kube.errors import RefusedError, UnreachableError
from hyper2kvm_operator.kube.resources import MIGRATION_LABEL, Resources
from hyper2kvm_operator.reconcile.resync import WATCHED, Resync
from unit.eventually import eventually

JOB = Resources.JOB.value


def job(uid="u1", version="5", name="web01-convert", owner="m1", namespace="ns"):
    labels = {MIGRATION_LABEL: owner}
    return {
        "metadata": {"namespace": namespace, "name": name, "uid": uid, "resourceVersion": version, "labels": labels}
    }


class Listing:
    """Stands in for the client: what a list holds."""

    def __init__(self, *found):
        self.found = list(found)
        self.asked = []

    def uids(self, resource, namespace=None, *, labels=None):
        self.asked.append((resource.kind, namespace, labels))
        return {one["metadata"]["uid"] for one in self.found}


def resync(cache, listing, gone, namespaces=()):
    return Resync(
        listing, cache, namespaces, lambda _, value: gone.append(value["metadata"]["uid"]), clock=lambda: 10.0
    )


def test_what_was_deleted_unseen_is_forgotten():
    now = [1.0]
    cache = Cache(lambda: now[0])
    cache.put(JOB, job(uid="stays"))
    cache.put(JOB, job(uid="went", name="web02-convert"))
    now[0] = 11.0
    cache.put(JOB, job(uid="came", name="web03-convert"))
    gone = []
    resync(cache, Listing(job(uid="stays")), gone).compare(Resources.JOB)
    assert gone == ["went"]


def test_children_are_listed_by_label_in_the_watched_namespaces():
    listing = Listing()
    resync(Cache(), listing, [], ("a", "b")).compare(Resources.JOB)
    resync(Cache(), listing, []).compare(Resources.MIGRATION)
    label = "app.kubernetes.io/managed-by=hyper2kvm"
    assert listing.asked == [("Job", "a", label), ("Job", "b", label), ("VirtualMachineMigration", None, None)]


class Limited:
    """Stands in for the client: nothing is in any namespace; one meets an error."""

    def __init__(self, namespace, status):
        self.namespace = namespace
        self.status = status

    def uids(self, resource, namespace=None, *, labels=None):
        if namespace == self.namespace:
            raise RefusedError(self.status, "Refused", "no", "GET")
        return set()


def test_of_a_namespace_that_refuses_nothing_is_forgotten_and_of_the_others_what_is_gone():
    """Without rights nobody knows what is there; a moment without them, as of an API server that starts, is no end."""
    now = [1.0]
    cache = Cache(lambda: now[0])
    for namespace in ("a", "gone", "b"):
        cache.put(JOB, job(uid=f"of {namespace}", namespace=namespace))
    gone = []
    resync(cache, Limited("gone", 403), gone, ("a", "gone", "b")).compare(Resources.JOB)
    assert gone == ["of a", "of b"]


def test_a_namespace_that_refuses_is_not_waited_for():
    """One that was deleted, and its RoleBinding with it, refuses for ever."""
    stop = threading.Event()
    late = threading.Timer(5, stop.set)
    late.start()
    assert resync(Cache(), Limited("gone", 403), [], ("a", "gone")).wait_whole(stop)
    late.cancel()


@pytest.mark.parametrize(("namespaces", "status"), [(("a", "gone"), 500), ((), 403)], ids=["no answer", "everywhere"])
def test_what_else_is_refused_is_no_list(namespaces, status):
    client = Limited(namespaces[-1] if namespaces else None, status)
    with pytest.raises(RefusedError):
        resync(Cache(), client, [], namespaces).compare(Resources.JOB)


class Filling:
    """Stands in for the client: lists of jobs, one after the other, the last for ever; `told` is called at each."""

    def __init__(self, *lists, told=lambda _: None):
        self.lists = list(lists)
        self.told = told
        self.asked = 0
        self.kinds = set()

    def uids(self, resource, namespace=None, *, labels=None):
        self.kinds.add(resource)
        if resource is not JOB:
            return set()
        found = self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]
        self.asked += 1
        self.told(self.asked)
        if isinstance(found, Exception):
            raise found
        return set(found)


def waiting(cache, client):
    return Resync(client, cache, (), lambda *_: None, pause=0.3)


def test_the_cache_is_whole_when_every_kind_has_been_told_of():
    cache = Cache()
    threading.Timer(0.2, cache.put, (JOB, job(uid="late"))).start()
    assert waiting(cache, Filling({"late"})).wait_whole(threading.Event())
    assert cache.holds(JOB, {"late"})


def test_what_is_deleted_while_the_cache_is_filled_is_not_waited_for():
    client = Filling({"went"}, set())
    assert waiting(Cache(), client).wait_whole(threading.Event())
    assert client.asked == 2


def test_a_list_of_the_start_is_not_asked_for_twice_and_a_later_one_is_compared():
    cache, client = Cache(), Filling({"there"})
    cache.put(JOB, job(uid="there"))
    resync = waiting(cache, client)
    resync.listed(Resources.JOB)
    assert resync.wait_whole(threading.Event())
    compared = threading.Event()
    client.told = lambda _: compared.set()
    assert not compared.wait(0.5)
    resync.listed(Resources.JOB)
    assert compared.wait(5)
    assert client.asked == 2


def test_everything_is_compared_now_and_then_as_an_empty_list_tells_nobody_anything():
    cache, client = Cache(), Filling({"went"}, set())
    cache.put(JOB, job(uid="went"))
    gone, stop = threading.Event(), threading.Event()
    resync = Resync(client, cache, (), lambda *_: gone.set(), pause=0.1)
    assert resync.wait_whole(stop)
    client.kinds.clear()
    keeping = threading.Thread(target=resync.keep, args=(stop, 0.1))
    keeping.start()
    wanted = {kind.value for kind in WATCHED}
    try:
        eventually(lambda: gone.is_set() and client.kinds == wanted, seconds=5)
    finally:
        stop.set()
        keeping.join(5)
    assert gone.is_set()
    assert client.kinds == wanted


def test_a_server_that_does_not_answer_yet_is_asked_again():
    client = Filling(UnreachableError("no"), RefusedError(403, "Forbidden", "no", "GET"), set())
    assert waiting(Cache(), client).wait_whole(threading.Event())
    assert client.asked == 3


def test_waiting_for_the_cache_ends_with_the_operator():
    stop = threading.Event()
    assert not waiting(Cache(), Filling({"never"}, told=lambda n: n > 1 and stop.set())).wait_whole(stop)


def test_everything_that_is_watched_is_waited_for():
    listing = Listing()
    assert resync(Cache(), listing, []).wait_whole(threading.Event())
    assert [kind for kind, *_ in listing.asked] == [kind.value.kind for kind in WATCHED]
