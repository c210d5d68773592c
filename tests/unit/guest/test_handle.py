import pytest

from hyper2kvm.guest.handle import appliance_failed, guarded, said
from hyper2kvm_api.errors import GuestError, HostError
from hyper2kvm_api.reasons import Reason


class Handle:
    def __init__(self, ready: int) -> None:
        self.ready = ready

    def is_ready(self) -> int:
        return self.ready


def not_mounted(words: str) -> GuestError:
    return GuestError(Reason.FILESYSTEM_NOT_MOUNTED, words)


def test_an_error_of_a_living_appliance_is_what_the_caller_makes_of_it():
    with pytest.raises(GuestError, match=r"^wrong fs type$") as caught, guarded(Handle(1), not_mounted):
        raise RuntimeError("mount: wrong fs type")
    assert caught.value.reason is Reason.FILESYSTEM_NOT_MOUNTED


def test_an_error_of_an_appliance_that_ended_is_the_hosts():
    with pytest.raises(HostError, match="ended: qemu killed") as caught, guarded(Handle(0), not_mounted):
        raise RuntimeError(
            "qemu killed by signal 9.\nTo see full error messages you may need to enable debugging.\nDo:"
        )
    assert caught.value.reason is Reason.APPLIANCE_FAILED
    assert "h2k doctor" in caught.value.hint


def test_other_errors_pass():
    with pytest.raises(ValueError, match="ours"), guarded(Handle(1), appliance_failed):
        raise ValueError("ours")


def test_words_are_one_short_line():
    assert said(RuntimeError("ls: a\n  b\x1b[31m")) == "a b\N{REPLACEMENT CHARACTER}[31m"
    assert len(said(RuntimeError("x" * 100_000))) == 1000
