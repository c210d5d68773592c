"""The folder that holds a migration's progress: documents are whole or absent, for its owner alone."""

import errno
import json
import os
import stat
import subprocess
import sys
from contextlib import suppress

import pytest

from hyper2kvm.history import History
from hyper2kvm.workspace import IDENTITY, Identity, Workspace, digest
from hyper2kvm_api.errors import BusyError, HostError
from hyper2kvm_api.event import Event, EventType
from hyper2kvm_api.reasons import Reason
from lab.smallvolume import small_volume
from unit.newer import newer

NAMED = Identity(name="web01", namespace="moves")
OTHER = Identity(name="web02", namespace="moves")


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "out/web01.h2k")


def leftovers(workspace):
    return list(workspace.folder.rglob(".*.new"))


def test_it_is_its_owners_alone(workspace):
    assert stat.S_IMODE(workspace.folder.stat().st_mode) == 0o700


def test_a_folder_that_is_there_keeps_its_rights(tmp_path):
    """A volume of a pod is shared by its group, which later pods are in."""
    folder = tmp_path / "volume"
    folder.mkdir()
    folder.chmod(0o770)
    Workspace(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o770


def test_a_document_is_read_as_it_was_written(workspace):
    workspace.write(IDENTITY, NAMED, "")
    assert workspace.read(Identity, IDENTITY) == NAMED
    assert leftovers(workspace) == []


@pytest.mark.parametrize("torn", ["", "{", '{"inputs": "a"}', '{"document": {"name": "web01"}}', "[1]", "\xff"])
def test_a_torn_or_foreign_document_is_none(workspace, torn):
    (workspace.folder / f"{IDENTITY}.json").write_text(torn, encoding="latin-1")
    assert workspace.read(Identity, IDENTITY) is None
    assert workspace.remember(IDENTITY, Identity, "inputs", lambda: NAMED) == (NAMED, False)


def test_what_was_made_of_the_same_inputs_is_remembered(workspace):
    made = iter([NAMED, OTHER])
    assert workspace.remember("x", Identity, "a", lambda: next(made)) == (NAMED, False)
    assert workspace.remember("x", Identity, "a", lambda: next(made)) == (NAMED, True)
    assert workspace.remember("x", Identity, "b", lambda: next(made)) == (OTHER, False)


def test_what_no_longer_holds_is_made_again(workspace):
    workspace.remember("x", Identity, "a", lambda: NAMED)
    assert workspace.remember("x", Identity, "a", lambda: OTHER, holds=lambda _: False) == (OTHER, False)


def test_while_something_is_made_its_old_document_is_gone(workspace):
    workspace.remember("x", Identity, "a", lambda: NAMED)

    def fail():
        assert not (workspace.folder / "x.json").exists()
        raise HostError(Reason.PROGRAM_FAILED, "half way")

    with pytest.raises(HostError):
        workspace.remember("x", Identity, "b", fail)
    assert workspace.read(Identity, "x") is None


def test_what_is_forgotten_is_made_again(workspace):
    workspace.remember("x", Identity, "a", lambda: NAMED)
    workspace.forget("x")
    workspace.forget("x")
    assert workspace.remember("x", Identity, "a", lambda: OTHER) == (OTHER, False)


def test_digests_know_where_one_part_ends():
    assert digest("ab", "c") != digest("a", "bc")
    assert digest(NAMED) == digest(NAMED.replaced()) != digest(OTHER)


def test_digests_are_those_of_a_version_whose_documents_have_more_fields():
    assert digest("a", newer(NAMED)) == digest("a", NAMED)
    assert digest("a", newer(NAMED, oneMore="said")) != digest("a", NAMED)


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(HostError) as caught:
        Workspace(tmp_path / "file/web01.h2k")
    assert caught.value.reason is Reason.WORKSPACE_UNUSABLE


def test_a_folder_that_is_no_workspace_is_refused_and_left_alone(tmp_path):
    with pytest.raises(HostError, match="is no workspace"):
        Workspace(tmp_path, make=False)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def full(tmp_path):
    """A workspace on a file system without room."""
    with small_volume(tmp_path / "full", "4m") as folder:
        yield Workspace(folder / "web01.h2k")


def fill(folder):
    with (folder / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while filler.write(bytes(4096)):
            pass
    assert os.statvfs(folder).f_bavail == 0


def test_a_full_disk_leaves_the_old_document_and_no_rest(full):
    full.write(IDENTITY, NAMED, "")
    fill(full.folder)
    with pytest.raises(HostError) as caught:
        full.put(full.folder / f"{IDENTITY}.json", bytes(1 << 20))
    assert caught.value.reason is Reason.WORKSPACE_FULL
    assert full.read(Identity, IDENTITY) == NAMED
    assert leftovers(full) == []


def test_there_is_room_for_the_last_words(full):
    with full.lock():
        fill(full.folder)
        with pytest.raises(HostError):
            full.put(full.folder / "report.html", bytes(1 << 20))
        full.release()
        full.put(full.folder / "report.html", bytes(1 << 20))


def note(message):
    return Event(time="2026-01-01T00:00:00.000Z", type=EventType.NOTE, message=message)


def test_events_wait_for_room(full):
    history = History(full.folder)
    history.add(note("before"))
    fill(full.folder)
    for number in range(100):
        history.add(note(f"{number} " + "x" * 4096))
    (full.folder / "filler").unlink()
    history.add(note("after"))
    told = [event.message.split()[0] for event in History(full.folder).events()]
    assert told == ["before", *map(str, range(100)), "after"]


def test_one_run_at_a_time(workspace):
    with workspace.lock():
        with pytest.raises(BusyError) as caught, Workspace(workspace.folder).lock():
            pass
        assert f"(process {os.getpid()})" in caught.value.message
    with workspace.lock():
        pass


def test_a_full_disk_has_no_room_for_who_holds_it(full):
    fill(full.folder)
    with pytest.raises(HostError) as caught, full.lock():
        pass
    assert caught.value.reason is Reason.WORKSPACE_FULL


def test_a_file_system_without_locks_is_told(workspace, monkeypatch):
    """As NFS without its lock manager."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("hyper2kvm.workspace.fcntl.flock", refuse)
    with pytest.raises(HostError, match="No locks available") as caught, workspace.lock():
        pass
    assert caught.value.reason is Reason.WORKSPACE_UNUSABLE


def test_what_killed_runs_left_is_removed(workspace):
    code = (
        "import os, sys; from pathlib import Path; from hyper2kvm import workspace\n"
        "workspace.os.fsync = lambda _: os._exit(9)\n"
        "made = workspace.Workspace(Path(sys.argv[1]))\n"
        "with made.lock(): made.put(made.folder / 'plan.json', b'x')"
    )
    assert subprocess.run([sys.executable, "-c", code, workspace.folder], check=False).returncode == 9
    assert len(leftovers(workspace)) == 1
    with workspace.lock():
        assert leftovers(workspace) == []
    assert sorted(path.name for path in workspace.scratch.iterdir()) == []


def test_documents_are_json_with_the_digest_of_their_inputs(workspace):
    workspace.write("x", NAMED, "abc")
    assert json.loads((workspace.folder / "x.json").read_text()) == {"inputs": "abc", "document": NAMED.to_object()}
