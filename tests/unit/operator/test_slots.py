import pytest

from hyper2kvm_operator.kube.overview import Overview
from hyper2kvm_operator.reconcile.migration.slots import next_to_start, place_in_line, slot


def migration(name, phase=None, *, created=0, going=False, **spec):
    metadata = {"uid": name, "namespace": "ns", "name": name, "creationTimestamp": f"2026-01-01T00:00:{created:02}Z"}
    if going:
        metadata["deletionTimestamp"] = "2026-01-02T00:00:00Z"
    return Overview.of({"metadata": metadata, "spec": spec, "status": {"phase": phase} if phase else {}})


FIRST, SECOND, THIRD = (migration(name, "Pending", created=n) for n, name in enumerate(("first", "second", "third")))
WORKING = migration("working", "Converting", created=9)
SUSPENDED = migration("suspended", "Converting", created=8, suspend=True)


@pytest.mark.parametrize(
    ("asking", "others", "limit", "expected"),
    [
        (FIRST, [SECOND, THIRD], 1, (True, 0)),
        (SECOND, [FIRST, THIRD], 1, (False, 1)),
        (SECOND, [FIRST, THIRD], 2, (True, 1)),
        (THIRD, [FIRST, SECOND, WORKING], 3, (False, 2)),
        (FIRST, [WORKING], 1, (False, 0)),
        (FIRST, [SUSPENDED], 1, (True, 0)),
        (THIRD, [migration("earlier", created=1, cancel=True)], 1, (True, 0)),
        (FIRST, [migration("done", "Succeeded"), migration("broken", "Failed")], 1, (True, 0)),
    ],
)
def test_those_that_came_first_go_first(asking, others, limit, expected):
    assert slot(asking, [asking, *others], limit) == expected


@pytest.mark.parametrize(("limit", "expected"), [(0, []), (1, []), (2, ["first"]), (3, ["first", "second"]), (9, 3)])
def test_as_many_are_next_as_there_are_free_slots(limit, expected):
    found = [one.name for one in next_to_start([THIRD, WORKING, SECOND, SUSPENDED, FIRST], limit)]
    assert found == (expected if isinstance(expected, list) else ["first", "second", "third"])


def test_who_is_next_gets_the_slot():
    everybody = [THIRD, WORKING, SECOND, SUSPENDED, FIRST]
    for limit in range(5):
        started = [one for one in (FIRST, SECOND, THIRD) if slot(one, everybody, limit)[0]]
        assert next_to_start(everybody, limit) == started


def test_one_that_is_deleted_takes_no_slot():
    going = migration("going", "Converting", going=True)
    assert going.held
    assert slot(FIRST, [FIRST, going], 1) == (True, 0)


@pytest.mark.parametrize(
    ("ahead", "told"), [(0, "0 before"), (9, "9 before"), (10, "10 or more"), (57, "50 or more"), (596, "500 or more")]
)
def test_only_the_first_in_line_are_told_exactly(ahead, told):
    """A line of a thousand moves several times a second, and each status that changes is looked at again."""
    assert told in place_in_line(ahead)
