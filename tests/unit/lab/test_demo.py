"""How demonstrations end that do not come to their end. The whole of them: tests/guests, tests/cluster/test_kubevirt.py."""

import subprocess

import pytest

from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from lab.demo import cluster, local

FAILURES = {
    "an error of ours": (
        HostError(Reason.PROGRAM_FAILED, "no room", hint="Make room."),
        8,
        ("ProgramFailed: no room", "→ Make room."),
    ),
    "a program": (subprocess.CalledProcessError(3, "mkfs.ext4"), 1, ("'mkfs.ext4' returned non-zero exit status 3",)),
    "the system": (OSError(28, "No space left on device"), 1, ("No space left on device",)),
    "Ctrl-C": (KeyboardInterrupt(), 130, ("interrupted after 0 min",)),
}


@pytest.mark.parametrize(
    ("demo", "step", "afterwards"),
    [(cluster, "_prepared", "make cluster-down"), (local, "ensure_guest", "begins anew")],
)
@pytest.mark.parametrize("failure", FAILURES)
def test_a_demonstration_that_fails_says_why_and_what_to_do(
    monkeypatch, tmp_path, capsys, demo, step, afterwards, failure
):
    error, code, words = FAILURES[failure]

    def fail(*_: str) -> None:
        raise error

    monkeypatch.setattr(demo, step, fail)
    monkeypatch.setattr(demo, "FOLDER", tmp_path)
    assert demo.main() == code
    told = capsys.readouterr().out
    for word in (*words, "after 0 min", afterwards):
        assert word in told


class Ended:
    """A namespace whose migration has ended."""

    def __init__(self, **status) -> None:
        self.ended = status

    def status(self, _: str) -> dict:
        return self.ended


def test_a_migration_that_fails_ends_the_demonstration_with_its_words():
    failure = {"reason": "TargetFull", "message": "no room", "hint": "Make room."}
    with pytest.raises(HostError) as caught:
        cluster._watched(Ended(phase="Failed", failure=failure))
    assert "TargetFull: no room" in caught.value.message
    assert caught.value.hint == "Make room."


def test_a_migration_that_somebody_cancels_ends_the_demonstration():
    with pytest.raises(HostError) as caught:
        cluster._watched(Ended(phase="Cancelled", progress="cancelled"))
    assert "Cancelled" in caught.value.message
