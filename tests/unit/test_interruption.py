"""Signals, also those that meet a callback that C calls: qsort(3) of the C library calls one here."""

import ctypes
import os
import signal
import time

import pytest

from hyper2kvm import interruption

COMPARISON = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(autouse=True)
def handled():
    before = {kind: signal.getsignal(kind) for kind in SIGNALS}
    interruption.handle()
    yield
    for kind, handler in before.items():
        signal.signal(kind, handler)


def sort(comparison) -> None:
    numbers = (ctypes.c_int * 2)(2, 1)
    ctypes.CDLL(None).qsort(numbers, 2, ctypes.sizeof(ctypes.c_int), COMPARISON(comparison))


def sort_and_go_on(comparison) -> None:
    sort(comparison)
    time.sleep(10)


def interrupt(kind) -> int:
    os.kill(os.getpid(), kind)
    return 0


@pytest.mark.parametrize("kind", SIGNALS)
def test_a_signal_ends_the_work(kind):
    with pytest.raises(KeyboardInterrupt):
        interrupt(kind)


@pytest.mark.parametrize("kind", SIGNALS)
def test_one_that_meets_a_callback_ends_the_work_behind_it(kind):
    over = []

    @interruption.called_from_c
    def compare(_first, _second):
        interrupt(kind)
        over.append(True)
        return 0

    with pytest.raises(KeyboardInterrupt):
        sort_and_go_on(compare)
    assert over


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_without_that_it_would_be_lost():
    sort(lambda _first, _second: interrupt(signal.SIGINT))


def test_a_signal_that_is_ignored_stays_so(monkeypatch):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interruption.handle()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
