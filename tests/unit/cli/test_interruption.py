"""A run that is interrupted or killed: it ends at once, leaves nothing half done under a final name, and goes on later."""

import hashlib
import json
import os
import signal
import sys
import tarfile

import pytest

from lab.command import INTERRUPTED, h2k, h2k_until, manifest
from unit.cli.test_bad_input import digests
from unit.sources.exports import ovf_text
from unit.stages.cases import make_source

MIB = 1 << 20
OPTIONS = {"guest": {"whenUnsupported": "Copy"}, "validation": {"boot": {"enabled": False}}}

SLOW_READING = """
import sys, time
from hyper2kvm.disk import verify
read = verify.Connection.read
def slowly(*arguments):
    time.sleep(0.2)
    return read(*arguments)
verify.Connection.read = slowly
from hyper2kvm.cli import main
main()
"""
"""`h2k` with a slow disk under the finished targets."""

DYING = """
import importlib, os, signal, sys
place, name, left = sys.argv[1], sys.argv[2], int(sys.argv[3])
del sys.argv[1:4]
module, _, kind = place.partition(":")
place = importlib.import_module(module)
place = getattr(place, kind) if kind else place
real = getattr(place, name)
def dying(*arguments):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return real(*arguments)
setattr(place, name, dying)
from hyper2kvm.cli import main
main()
"""


def dying(place, name, count):
    """`h2k` that is killed when a function would be called after so many times."""
    return sys.executable, "-c", DYING, place, name, str(count)


COPYING = "hyper2kvm.disk.journal:Journal", "claim"
PUBLISHING = "hyper2kvm.stages.publication", "publish"


class Migration:
    """Two disks without a system."""

    def __init__(self, folder):
        self.folder = folder
        self.source = folder / "source"
        self.raws = make_source(self.source, size=40 * MIB)
        self.before = digests(self.source)
        self.file = manifest(folder, "web01", self.source, ".", **OPTIONS)

    def command(self, out="out"):
        return "run", self.file, "--output", self.folder / out

    def targets(self, out="out"):
        return sorted((self.folder / out).glob("*.raw"))

    def kill(self, place, name, count):
        """A run that is killed there."""
        program = dying(place, name, count)
        ended = h2k_until(lambda _: False, signal.SIGKILL, *self.command(), program=program)
        assert (ended.code, ended.stderr) == (-signal.SIGKILL, "")

    def check(self, out="out"):
        """Whether a run to the end gives the disks, and none was changed."""
        ended = h2k(*self.command(out))
        assert ended.code == 0, ended.stderr
        for target, raw in zip(self.targets(out), self.raws, strict=True):
            assert target.read_bytes() == raw.read_bytes()
        assert digests(self.source) == self.before
        return ended


@pytest.fixture
def migration(tmp_path):
    return Migration(tmp_path)


def stage(name, type_="StageStarted"):
    return lambda event: event["type"] == type_ and event.get("stage") == name


def check_interrupted(ended):
    """One line for a person, and no failure."""
    assert (ended.code, ended.stderr) == (130, INTERRUPTED)
    assert "Failed" not in [event["type"] for event in ended.events]


def document(folder, name):
    return json.loads((folder / "web01.h2k" / f"{name}.json").read_text())["document"]


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def large_ova(tmp_path):
    """An archive of 8 GiB that takes no room: comparing it with its manifest takes seconds."""
    size = 8 << 30
    descriptor = ovf_text({"web01-disk1.img": size}, capacity=size).encode()
    listing = f"SHA512(web01.ovf)= {hashlib.sha512(descriptor).hexdigest()}\nSHA512(web01-disk1.img)= {'0' * 128}\n"
    source = tmp_path / "source"
    source.mkdir()
    with (source / "web01.ova").open("wb") as archive:
        for name, content in (("web01.ovf", descriptor), ("web01.mf", listing.encode())):
            write_header(archive, name, len(content))
            archive.write(content.ljust(-(-len(content) // 512) * 512, b"\0"))
        write_header(archive, "web01-disk1.img", size)
        archive.truncate(archive.tell() + size + 1024)
    return source


def write_header(archive, name, size):
    entry = tarfile.TarInfo(name)
    entry.size = size
    archive.write(entry.tobuf(tarfile.GNU_FORMAT))


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_comparing_an_archive_with_its_manifest_ends_at_once(tmp_path, large_ova, signal_):
    """What was begun is not finished: the last progress is far from the end."""
    seen = []
    command = ("run", manifest(tmp_path, "web01", large_ova, "web01.ova"), "--output", tmp_path / "out")
    check_interrupted(h2k_until(stage("Fetch", "Progress"), signal_, *command, after=seen.append))
    done = [event["done"] for event in seen if event["type"] == "Progress"]
    assert max(done, default=0) < 4 << 30
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["web01.h2k"]


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_reading_targets_back_ends_at_once(migration, signal_):
    seen = []
    program = (sys.executable, "-c", SLOW_READING)
    moment = stage("Validate", "Progress")
    check_interrupted(h2k_until(moment, signal_, *migration.command(), program=program, after=seen.append))
    assert all(event["done"] < event["total"] for event in seen if event["type"] == "Progress")
    assert migration.targets() == []
    assert not (migration.folder / "out/web01.xml").exists()
    assert digests(migration.source) == migration.before
    ended = migration.check()
    assert [event["stage"] for event in ended.events if event["type"] == "StageStarted"] == ["Validate"]


def test_copying_ends_at_once_and_goes_on_later(migration):
    check_interrupted(h2k_until(stage("Convert", "Progress"), signal.SIGINT, *migration.command()))
    assert migration.targets() == []
    assert digests(migration.source) == migration.before
    migration.check()


def test_killed_while_copying_it_gives_the_same_files_as_a_run_that_was_not(migration):
    migration.check("whole")
    for claims in (3, 9, 11):
        migration.kill(*COPYING, claims)
        assert migration.targets() == []
    ended = migration.check()
    assert [event["stage"] for event in ended.events if event["type"] == "StageStarted"] == ["Convert", "Validate"]
    copied = document(migration.folder / "out", "convert")["disks"]
    assert sum(disk["copiedNow"] for disk in copied) <= sum(disk["data"] for disk in copied) - 20 * MIB
    assert [sha256(path) for path in migration.targets()] == [sha256(path) for path in migration.targets("whole")]
    whole, killed = (document(migration.folder / out, "convert")["disks"] for out in ("whole", "out"))
    assert [disk["digest"] for disk in killed] == [disk["digest"] for disk in whole]


@pytest.mark.parametrize("published", [0, 1])
def test_killed_between_two_final_names_it_gives_the_rest_theirs(migration, published):
    migration.kill(*PUBLISHING, published)
    assert len(migration.targets()) == published
    ended = migration.check()
    assert [event for event in ended.events if event["type"] == "StageStarted"] == []
    assert sorted(path.name for path in (migration.folder / "out").iterdir()) == [
        "web01-disk0.raw",
        "web01-disk1.raw",
        "web01.h2k",
        "web01.xml",
    ]


def test_what_a_killed_run_left_among_the_machines_temporary_files_is_removed(migration, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    os.environ["TMPDIR"] = str(temporary)
    try:
        migration.kill(*COPYING, 5)
        assert list(temporary.iterdir()) != []
        migration.check()
    finally:
        del os.environ["TMPDIR"]
    assert list(temporary.iterdir()) == []


def test_a_dry_run_leaves_what_was_done_alone(migration):
    migration.kill(*COPYING, 5)
    _, file, *options = migration.command()
    ended = h2k("fix", "--dry-run", file, *options)
    assert ended.code == 0, ended.stderr
    ended = migration.check()
    assert [event["stage"] for event in ended.events if event["type"] == "StageStarted"] == ["Convert", "Validate"]
    copied = document(migration.folder / "out", "convert")["disks"]
    assert sum(disk["copiedNow"] for disk in copied) < sum(disk["data"] for disk in copied)
    ended = h2k("fix", "--dry-run", file, *options)
    assert ended.code == 0, ended.stderr
    ended = migration.check()
    assert [event for event in ended.events if event["type"] == "StageStarted"] == []
