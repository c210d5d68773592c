"""What digests are taken over: what a document says, in whichever version of its model."""

import itertools

import pytest

from hyper2kvm_api.document import Document
from hyper2kvm_api.options import TargetBus
from unit.newer import newer


class Cable(Document):
    bus: TargetBus = TargetBus.VIRTIO
    length: int | None = 3


class Box(Document):
    name: str = "box"
    cable: Cable = Cable()
    spare: Cable | None = None
    cables: tuple[Cable, ...] = ()
    named: dict[str, Cable] = {}


PLAIN = {"cables": [{"bus": "sata"}, {}], "named": {"a": {}}}
SAID = [
    {},
    {"name": "other"},
    {"cable": {"bus": "sata"}},
    {"cable": {"length": None}},
    {"spare": {}},
    {"spare": {"length": None}},
    {"cables": [{}]},
    {"cables": [{}, {}]},
    {"cables": [{}, {"bus": "sata"}]},
    {"cables": [{"bus": "sata"}, {}]},
    {"named": {"a": {}}},
    {"named": {"b": {}}},
    {"named": {"a": {"length": 4}}},
]


def told(values):
    return Box.model_validate(values).canonical()


@pytest.mark.parametrize(
    "stated",
    [
        {"name": "box", **PLAIN},
        {"cable": {}, **PLAIN},
        {"cable": {"bus": "virtio", "length": 3}, **PLAIN},
        {"spare": None, **PLAIN},
        {"cables": [{"length": 3, "bus": "sata"}, {"bus": "virtio"}], "named": {"a": {"length": 3}}},
    ],
)
def test_a_default_that_is_stated_says_what_an_absent_field_does(stated):
    assert told(stated) == told(PLAIN)


def test_documents_that_say_different_things_are_told_apart():
    assert len({told(values) for values in SAID}) == len(SAID)


@pytest.mark.parametrize("values", SAID)
def test_a_model_with_more_fields_that_are_not_stated_says_the_same(values):
    box = Box.model_validate(values)
    assert newer(box).canonical() == box.canonical()


def test_a_field_that_is_new_and_stated_counts_wherever_it_is():
    more = {"oneMore": "new"}
    stated = [more, {"cable": more}, {"spare": more}, {"cables": [more]}, {"named": {"a": more}}]
    found = [newer(Box(), **values).canonical() for values in stated]
    for one, other in itertools.combinations([told(values) for values in SAID] + found, 2):
        assert one != other


def test_some_of_the_fields_can_be_told_alone():
    box = Box(name="other", cables=(Cable(),))
    assert box.canonical("cable", "cables") == Box(cables=(Cable(),)).canonical()
    assert box.canonical("cable", "cables") != Box().canonical("cable", "cables")
    assert newer(box).canonical("cables") == box.canonical("cables")


def test_what_is_written_is_complete():
    """Later versions may have other defaults."""
    assert Box().to_object() == {
        "name": "box",
        "cable": {"bus": "virtio", "length": 3},
        "cables": [],
        "named": {},
    }
