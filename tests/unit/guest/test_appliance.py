import subprocess
import threading
from pathlib import Path

import pytest

from hyper2kvm.guest import appliance


def test_a_thread_that_has_ended_has_started_nothing():
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    assert appliance._children(thread.native_id) == []


def test_what_a_thread_has_started_is_its_own():
    with subprocess.Popen(["sleep", "60"]) as started:
        assert started.pid in appliance._children(threading.get_native_id())
        started.kill()


@pytest.mark.parametrize("error", [FileNotFoundError, ProcessLookupError])
def test_what_ends_between_opening_and_reading_is_no_error(monkeypatch, error):
    def read_bytes(_: Path) -> bytes:
        raise error

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    assert appliance._children(1) == []
