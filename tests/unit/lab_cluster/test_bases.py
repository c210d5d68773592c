"""Debian's base under images. mmdebstrap stands in: the real one takes its time, and packages."""

from pathlib import Path

import pytest

from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from lab.cluster import bases


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """What was started; and a list that makes it fail when there is something in it."""
    found = []

    def run_long(arguments, *, environment, **_) -> None:
        scratch = Path(environment["TMPDIR"])
        assert list(scratch.iterdir()) == []
        (scratch / "mmdebstrap.x7k2p").mkdir()
        found.append(list(arguments))
        if calls_fail:
            raise HostError(Reason.PROGRAM_FAILED, "no mirror")
        Path(arguments[-1]).write_bytes(b"tar")

    calls_fail: list[bool] = []
    monkeypatch.setattr(bases, "run_long", run_long)
    monkeypatch.setattr(bases, "CACHE", tmp_path)
    return found, calls_fail


def files(folder: Path) -> list[str]:
    return [path.name for path in (folder / "cluster/bases").iterdir()]


def test_a_base_is_made_once_and_nothing_is_left_beside_it(calls, tmp_path):
    found, _ = calls
    assert bases.ensure_base(bases.PLAIN) == bases.ensure_base(bases.PLAIN)
    assert len(found) == 1
    assert files(tmp_path) == [bases.PLAIN.path.name]


def test_what_a_killed_run_unpacked_goes_with_the_next(calls, tmp_path):
    left = tmp_path / "cluster/bases/unpacked/mmdebstrap.killed/usr"
    left.mkdir(parents=True)
    bases.ensure_base(bases.PLAIN)
    assert files(tmp_path) == [bases.PLAIN.path.name]


def test_a_base_that_cannot_be_made_leaves_nothing(calls, tmp_path):
    _, fails = calls
    fails.append(True)
    with pytest.raises(HostError):
        bases.ensure_base(bases.PLAIN)
    assert files(tmp_path) == []
