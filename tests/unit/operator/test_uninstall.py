import pytest

from hyper2kvm_operator.kube.client import KubeClient
from hyper2kvm_operator.kube.errors import RefusedError, UnreachableError
from hyper2kvm_operator.reconcile.migration.apply import FINALIZER
from hyper2kvm_operator.uninstall import holding, main


class Answers(KubeClient):
    """Answers with migrations, those of one namespace where one is asked for; or with an error."""

    def __init__(self, *found, error=None):
        self.found = found
        self.error = error
        self.asked = []

    def list(self, resource, namespace=None, **_):
        self.asked.append(namespace)
        if self.error:
            raise self.error
        return [one for one in self.found if namespace in {None, one["metadata"]["namespace"]}]


def migration(name, namespace="moves", finalizers=(FINALIZER,)):
    return {"metadata": {"name": name, "namespace": namespace, "finalizers": list(finalizers)}}


def test_it_is_refused_while_a_migration_is_not_over(capsys):
    client = Answers(migration("web01"), migration("db01"), migration("done", finalizers=()))
    assert main([], client) == 1
    assert "moves/db01, moves/web01." in capsys.readouterr().out


def test_a_finalizer_of_somebody_else_is_not_ours():
    assert holding(Answers(migration("web01", finalizers=["example.com/kept"])), []) == []


def test_nothing_is_in_the_way_of_an_empty_cluster(capsys):
    assert main([], Answers()) == 0
    assert capsys.readouterr().out == ""


def test_an_operator_of_some_namespaces_asks_for_those_only():
    client = Answers(migration("web01"), migration("other", "elsewhere"))
    assert holding(client, ["moves", "more"]) == ["moves/web01"]
    assert client.asked == ["moves", "more"]


def test_many_are_counted(capsys):
    assert main([], Answers(*(migration(f"m{n:03}") for n in range(120)))) == 1
    assert "moves/m019 and 100 more" in capsys.readouterr().out


@pytest.mark.parametrize("error", [UnreachableError("no answer"), RefusedError(403, "Forbidden", "you may not", "GET")])
def test_what_cannot_be_known_is_no_permission(error, capsys):
    assert main([], Answers(error=error)) == 1
    assert "could not be listed" in capsys.readouterr().out
