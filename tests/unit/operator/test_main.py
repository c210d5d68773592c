"""The operator's process where it cannot start, or not in all of its namespaces."""

import asyncio
import socket
from functools import partial
from unittest.mock import Mock

import kopf
import pytest
from kopf._cogs.structs.references import match_namespace

from hyper2kvm_api.reasons import Category
from hyper2kvm_operator.kube.namespaces import wait_permitted
from hyper2kvm_operator.main import main, serve
from hyper2kvm_operator.reconcile.resync import Resync
from hyper2kvm_operator.settings import Settings
from unit.operator.objects import Storage


@pytest.mark.parametrize(
    ("image", "reason", "category"),
    [("example/conversion:1", "ClusterNotConfigured", Category.CLUSTER), ("", "InvalidSpec", Category.SPEC)],
    ids=["no cluster", "no image"],
)
def test_what_it_lacks_is_told_in_a_line(monkeypatch, tmp_path, capsys, image, reason, category):
    monkeypatch.delenv("HYPER2KVM_CACHE", raising=False)  # the lab's own, and no setting of the operator's
    monkeypatch.setenv("HYPER2KVM_CONVERSION_IMAGE", image)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert main() == category.exit_code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{reason}: ")


def run(client, *namespaces):
    """The operator until it ends by itself."""
    with socket.create_server(("", 0)) as free:
        port = free.getsockname()[1]
    settings = Settings(conversion_image="example/conversion:1", port=port, watch_namespaces=namespaces)
    asyncio.run(asyncio.wait_for(serve(settings, client), 20))


def test_it_ends_when_its_workers_cannot_begin(monkeypatch):
    """A Deployment starts it again, and what went wrong is in the log; left alone it would be alive and do nothing."""

    def fails(*_):
        raise ZeroDivisionError

    async def watches(*, stop_flag, **_):
        await stop_flag.wait()

    monkeypatch.setattr(Resync, "wait_whole", fails)
    monkeypatch.setattr(kopf, "operator", watches)
    with pytest.raises(ZeroDivisionError):
        run(Mock())


@pytest.mark.parametrize(
    ("namespaces", "refused", "watched"),
    [
        (["a", "b"], [], ["a", "b"]),
        (["a", "b"], ["b"], ["a"]),
        (["a", "b"], ["a", "b"], []),
        ([], [], ["a", "b", "c"]),
    ],
    ids=["all of them", "one refuses", "each refuses", "no limit"],
)
def test_namespaces_that_refuse_the_operator_are_not_watched(monkeypatch, namespaces, refused, watched):
    """kopf ends by the first refusal that lasts, and nothing would be done in the others either."""
    given = {}

    async def watches(**arguments):
        given.update(arguments)

    monkeypatch.setattr(kopf, "operator", watches)
    client = Storage()
    client.forbidden = set(refused)
    run(client, *namespaces)
    assert given["clusterwide"] == (not namespaces)
    assert [one for one in "abc" if by_kopf(one, given)] == watched


def by_kopf(namespace, given):
    """Whether kopf would watch a namespace."""
    return given["clusterwide"] or any(match_namespace(namespace, pattern) for pattern in given["namespaces"])


def test_it_ends_when_a_namespace_does_not_refuse_any_more(monkeypatch):
    """The kubelet starts it again, and then it is watched."""
    client = Storage()
    client.forbidden = {"b"}

    async def watches(*, stop_flag, **_):
        client.forbidden.clear()
        await stop_flag.wait()

    monkeypatch.setattr(kopf, "operator", watches)
    monkeypatch.setattr("hyper2kvm_operator.main.wait_permitted", partial(wait_permitted, pause=0.05))
    run(client, "a", "b")
