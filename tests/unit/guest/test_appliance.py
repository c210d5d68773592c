import threading
from pathlib import Path

import pytest

from hyper2kvm.guest import appliance


def test_a_thread_that_ends_meanwhile_has_no_appliance(monkeypatch):
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    gone = Path(f"/proc/self/task/{thread.native_id}/children")
    monkeypatch.setattr(Path, "glob", lambda *_: [gone, Path("/proc/self/task/0/children")])
    assert list(appliance._appliances()) == []


@pytest.mark.parametrize("error", [FileNotFoundError, ProcessLookupError])
def test_what_ends_between_opening_and_reading_is_no_error(monkeypatch, error):
    def read_bytes(_: Path) -> bytes:
        raise error

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    assert list(appliance._appliances()) == []
