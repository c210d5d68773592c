import stat
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyper2kvm.guest.linux import cpio
from hyper2kvm.guest.linux.cpio import Member
from hyper2kvm.guest.linux.stream import ByteStream


def pieces(data: bytes, size: int = 7):
    for at in range(0, len(data), size):
        yield data[at : at + size]
    return len(data)


def members(data: bytes) -> list[Member]:
    return list(cpio.read(ByteStream(pieces(data)), lambda path, size: True))


PARTS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
PATHS = st.lists(PARTS.filter(lambda part: part not in {".", ".."}), min_size=1, max_size=4).map("/".join)
FILES = st.dictionaries(PATHS.filter(lambda path: path != "TRAILER!!!"), st.binary(max_size=64), max_size=6)


@given(FILES)
def test_what_is_written_is_read_back(files):
    written = [Member(path, stat.S_IFREG | 0o644, content, len(content)) for path, content in files.items()]
    assert members(cpio.write(written)) == written


def test_the_same_members_give_the_same_bytes():
    made = [Member("conf", stat.S_IFDIR | 0o755), Member("conf/modules", stat.S_IFREG | 0o644, b"virtio\n")]
    assert cpio.write(made) == cpio.write(made)


def test_cpio_extracts_what_is_written(tmp_path):
    archive = cpio.write(
        [
            Member("conf", stat.S_IFDIR | 0o755),
            Member("conf/modules", stat.S_IFREG | 0o640, b"virtio_blk\n"),
            Member("lib", stat.S_IFLNK | 0o777, b"usr/lib"),
        ]
    )
    subprocess.run(["cpio", "-id", "--quiet"], input=archive, cwd=tmp_path, check=True)
    assert (tmp_path / "conf/modules").read_bytes() == b"virtio_blk\n"
    assert stat.S_IMODE((tmp_path / "conf/modules").stat().st_mode) == 0o640
    assert (tmp_path / "lib").readlink().name == "lib"


def test_an_archive_of_cpio_is_read(tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/functions").write_text("log() { :; }\n")
    (tmp_path / "bin").symlink_to("usr/bin")
    made = subprocess.run(
        ["cpio", "-o", "-H", "newc", "--quiet"],
        input=b"./scripts\n./scripts/functions\n./bin\n",
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    found = {member.path: member for member in members(made.stdout)}
    assert set(found) == {"scripts", "scripts/functions", "bin"}
    assert found["bin"].content == b"usr/bin"
    assert found["scripts/functions"].content == b"log() { :; }\n"


def test_contents_that_are_not_wanted_are_passed_over():
    archive = cpio.write([Member("big", stat.S_IFREG | 0o644, b"x" * 100), Member("small", stat.S_IFREG, b"y")])
    found = list(cpio.read(ByteStream(pieces(archive)), lambda path, size: size < 10))
    assert [(member.content, member.size) for member in found] == [(b"", 100), (b"y", 1)]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda archive: archive[:50], "ends in the middle"),
        (lambda archive: b"070707" + archive[6:], "header is missing"),
        (lambda archive: archive[:54] + b"-0000001" + archive[62:], "no number"),
        (lambda archive: archive[:94] + b"7fffffff" + archive[102:], "a name of 2147483647 bytes"),
        (lambda archive: archive[:54] + b"ffffffff" + archive[62:], "ends in the middle"),
    ],
    ids=["cut", "magic", "number", "name", "size"],
)
def test_a_damaged_archive_is_refused(damage, message):
    archive = cpio.write([Member("conf/modules", stat.S_IFREG | 0o644, b"virtio\n")])
    with pytest.raises(ValueError, match=message):
        members(damage(archive))


def test_more_members_than_the_limit_are_refused(monkeypatch):
    monkeypatch.setattr(cpio, "MAX_MEMBERS", 3)
    with pytest.raises(ValueError, match="more than 3 members"):
        members(cpio.write([Member(str(number), stat.S_IFREG) for number in range(5)]))
