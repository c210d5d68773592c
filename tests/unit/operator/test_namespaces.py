"""Namespaces in which the operator has no rights."""

import threading

import pytest

from hyper2kvm_operator.kube import namespaces
from hyper2kvm_operator.kube.errors import RefusedError, UnreachableError
from hyper2kvm_operator.kube.namespaces import refusing, wait_permitted, where_permitted
from unit.operator.objects import Storage

FORBIDDEN = RefusedError(403, "Forbidden", "you may not", "GET")
BROKEN = RefusedError(500, "InternalError", "something broke", "GET")
SILENT = UnreachableError("timed out")


@pytest.fixture(autouse=True)
def untold():
    """Nothing has been told yet in this process."""
    namespaces._tell.cache_clear()


class Answers:
    """Stands in for the client: answers, one after the other, the last for ever; `told` is called at each."""

    def __init__(self, *answers, told=lambda _: None):
        self.answers = list(answers)
        self.told = told
        self.asked = []

    def try_list(self, resource, namespace):
        self.asked.append(namespace)
        self.told(len(self.asked))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is not None:
            raise answer


def test_a_namespace_that_refuses_is_told_once_with_what_to_do(caplog):
    for namespace in ("gone", "gone", "lost"):
        with where_permitted(namespace):
            raise FORBIDDEN
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [(level, text.split()[2]) for level, text in told] == [("WARNING", "gone"), ("WARNING", "lost")]
    assert all("RoleBinding" in text and "watchNamespaces" in text for _, text in told)


@pytest.mark.parametrize(
    ("namespace", "error"),
    [(None, FORBIDDEN), ("a", BROKEN), ("a", SILENT)],
    ids=["all namespaces refuse", "another refusal", "no answer"],
)
def test_what_else_goes_wrong_is_raised(caplog, namespace, error):
    with pytest.raises(type(error)), where_permitted(namespace):
        raise error
    assert caplog.records == []


def test_those_that_refuse_are_found():
    client = Storage()
    client.forbidden = {"b"}
    assert refusing(client, ["a", "b", "c"]) == ["b"]


@pytest.mark.parametrize("error", [BROKEN, SILENT], ids=["broken", "silent"])
def test_who_does_not_answer_has_neither_refused_nor_permitted(error):
    assert refusing(Answers(error), ["a"]) == []
    stop = threading.Event()
    client = Answers(error, told=lambda asked: asked > 1 and stop.set())
    wait_permitted(client, ["a"], stop, pause=0.01)
    assert client.asked == ["a", "a"]


def test_those_that_refuse_are_tried_until_one_does_so_no_more():
    client = Answers(FORBIDDEN, FORBIDDEN, FORBIDDEN, None)
    wait_permitted(client, ["a", "b"], threading.Event(), pause=0.01)
    assert client.asked == ["a", "b", "a", "b"]


def test_the_wait_for_a_namespace_ends_with_the_operator():
    stop = threading.Event()
    client = Answers(FORBIDDEN, told=lambda _: stop.set())
    wait_permitted(client, ["a", "b"], stop, pause=0.01)
    assert client.asked == ["a"]
