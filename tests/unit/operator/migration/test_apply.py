"""What is carried out never touches what belongs to somebody else."""

import pytest

from hyper2kvm_operator.build.metadata import new_object
from hyper2kvm_operator.kube.cache import Cache
from hyper2kvm_operator.kube.errors import RefusedError
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.reconcile.migration.apply import ActionRefusedError, carry_out
from hyper2kvm_operator.reconcile.migration.decision import Apply, Delete, Ensure, Merge, Rehearse
from unit.operator.objects import Storage, migration, stored
from unit.operator.situations import KEY

CONFIG = Resources.CONFIG_MAP
OURS = {**new_object(CONFIG.value, KEY, "web01-plan"), "data": {"plan.json": "{}"}}


def do(storage, action, cache=None):
    carry_out(storage, cache or Cache(), KEY, {}, action)


@pytest.mark.parametrize("action", [Ensure, Apply])
def test_what_is_not_there_is_made(action):
    storage = Storage()
    do(storage, action(CONFIG.value, OURS))
    assert storage.names(CONFIG) == ["web01-plan"]


@pytest.mark.parametrize("action", [Ensure, Apply])
def test_what_somebody_else_has_is_a_conflict_and_stays_as_it_is(action):
    storage = Storage(stored(CONFIG, "web01-plan", data={"theirs": "yes"}))
    with pytest.raises(ActionRefusedError) as caught:
        do(storage, action(CONFIG.value, OURS))
    assert caught.value.refusal.reason == "Taken"
    found = storage.get(CONFIG.value, "moves", "web01-plan")
    assert found["data"] == {"theirs": "yes"}
    assert "ownerReferences" not in found["metadata"]


@pytest.mark.parametrize("action", [Ensure, Apply])
def test_what_is_going_is_waited_for(action):
    going = stored(CONFIG, "web01-plan", owner="an earlier one")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    with pytest.raises(RefusedError) as caught:
        do(Storage(going), action(CONFIG.value, OURS))
    assert caught.value.stale


@pytest.mark.parametrize("action", [Ensure, Apply])
@pytest.mark.parametrize("there", [True, False])
def test_what_a_deleted_migration_of_the_same_name_has_left_is_waited_for(action, there):
    """Deleted and applied again, a migration is back before the garbage collector has come."""
    left = stored(CONFIG, "web01-plan", owner="an earlier one")
    left["metadata"]["ownerReferences"] = [{"uid": "an earlier one"}]
    cache = Cache()
    if there:
        cache.put(Resources.MIGRATION.value, migration() | {"metadata": {**NAMED, "uid": "an earlier one"}})
    with pytest.raises(ActionRefusedError if there else RefusedError):
        do(Storage(left), action(CONFIG.value, OURS), cache)


NAMED = {
    "namespace": "moves",
    "name": "web.01",
    "resourceVersion": "1",
    "creationTimestamp": "2026-01-01T00:00:00Z",
}


def test_ones_own_is_applied_again():
    storage = Storage(stored(CONFIG, "web01-plan", owner=KEY.uid, data={"plan.json": "of an earlier plan"}))
    do(storage, Apply(CONFIG.value, OURS))
    assert storage.get(CONFIG.value, "moves", "web01-plan")["data"] == {"plan.json": "{}"}


def test_another_object_that_took_the_name_is_not_deleted():
    storage = Storage(stored(CONFIG, "web01-plan"))
    with pytest.raises(RefusedError):
        do(storage, Delete(CONFIG.value, "web01-plan", "uid-of-ours"))
    assert storage.names(CONFIG) == ["web01-plan"]


def test_a_rehearsal_stores_nothing_and_tells_what_is_refused():
    storage = Storage()
    machine = new_object(Resources.VIRTUAL_MACHINE.value, KEY, "web")
    do(storage, Rehearse(Resources.VIRTUAL_MACHINE.value, machine))
    assert storage.rehearsed == [machine]
    assert storage.names(Resources.VIRTUAL_MACHINE) == []
    storage.refusals["POST", "VirtualMachine"] = RefusedError(422, "Invalid", "no such instance type", "POST")
    with pytest.raises(ActionRefusedError, match="no such instance type"):
        do(storage, Rehearse(Resources.VIRTUAL_MACHINE.value, machine))


def test_what_changed_meanwhile_is_looked_at_again():
    with pytest.raises(RefusedError) as caught:
        do(Storage(), Merge(Resources.JOB.value, "web01-convert", {"spec": {"suspend": True}}))
    assert caught.value.stale
