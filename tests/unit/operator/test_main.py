"""The operator's process where it cannot start."""

import asyncio
import socket
from unittest.mock import Mock

import kopf
import pytest

from hyper2kvm_api.reasons import Category
from hyper2kvm_operator.main import main, serve
from hyper2kvm_operator.reconcile.resync import Resync
from hyper2kvm_operator.settings import Settings


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


def test_it_ends_when_its_workers_cannot_begin(monkeypatch):
    """A Deployment starts it again, and what went wrong is in the log; left alone it would be alive and do nothing."""

    def fails(*_):
        raise ZeroDivisionError

    async def watches(*, stop_flag, **_):
        await stop_flag.wait()

    monkeypatch.setattr(Resync, "wait_whole", fails)
    monkeypatch.setattr(kopf, "operator", watches)
    with socket.create_server(("", 0)) as free:
        port = free.getsockname()[1]
    settings = Settings(conversion_image="example/conversion:1", port=port)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(asyncio.wait_for(serve(settings, Mock()), 20))
