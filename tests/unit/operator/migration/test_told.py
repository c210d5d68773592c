"""Logs of pods whose node does not answer."""

from hyper2kvm_operator.kube.errors import UnreachableError
from hyper2kvm_operator.reconcile.migration.told import LogReader
from unit.operator.objects import Storage


def test_pods_that_were_silent_once_are_not_remembered_for_ever():
    now = [0.0]
    storage = Storage()
    storage.logs = {"first": UnreachableError("timed out"), "second": UnreachableError("timed out")}
    reader = LogReader(storage, lambda: now[0])
    for pod in ("first", "second"):
        assert reader.read("moves", pod, lines=1).trouble == "timed out"
        now[0] += 60
    assert set(reader._silent) == {("moves", "second")}
