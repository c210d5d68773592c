import os

import pytest

from hyper2kvm_api.errors import ImageError
from hyper2kvm_api.reasons import Reason
from unit.disk.images import digests
from unit.sources.exports import SIZE, disk_image, manifest, ovf_text
from unit.sources.refusing import fetched, refusal


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "web01"
    made.mkdir()
    disk = disk_image(made)
    (made / "web01.ovf").write_text(ovf_text({disk.name: disk.stat().st_size}))
    (made / "web01.mf").write_text(manifest([made / "web01.ovf", disk]))
    return made


def replaced(folder, text, *, with_manifest=False):
    (folder / "web01.ovf").write_text(text)
    if not with_manifest:
        (folder / "web01.mf").unlink()


def test_the_machine_and_its_disks_are_read(folder):
    before = digests(folder)
    found = fetched(folder)
    assert [disk.capacity for disk in found.machine.disks] == [SIZE]
    assert found.disks[0].files == (str(folder / "web01-disk1.vmdk"),)
    assert found.verified == ("web01.ovf", "web01-disk1.vmdk")
    assert {part.name for part in found.parts} == {str(folder / "web01.ovf"), str(folder / "web01-disk1.vmdk")}
    assert digests(folder) == before


def test_a_descriptor_in_another_encoding_is_read_as_it_says(folder):
    name = "M\N{LATIN SMALL LETTER U WITH DIAERESIS}nchen"
    text = (folder / "web01.ovf").read_text().replace("<Name>web01", f"<Name>{name}").replace("UTF-8", "ISO-8859-1", 1)
    replaced(folder, "")
    (folder / "web01.ovf").write_bytes(text.encode("latin-1"))
    assert fetched(folder).machine.name == name


def test_a_wrong_digest_is_refused(folder):
    replaced(folder, (folder / "web01.ovf").read_text() + "\n", with_manifest=True)
    error = refusal(folder)
    assert error.reason is Reason.MANIFEST_DIGEST_MISMATCH
    assert error.file == "web01.ovf"
    assert "compare the digests" in error.hint


@pytest.mark.parametrize("name", ["web01-disk9.vmdk", "x" * 300 + ".vmdk"])
def test_a_missing_file_is_refused(folder, name):
    replaced(folder, ovf_text({name: 1000}))
    error = refusal(folder)
    assert error.reason is Reason.ARCHIVE_INCOMPLETE
    assert name in error.message
    assert "export the machine again" in error.hint


@pytest.mark.parametrize("name", ["../web01-disk1.vmdk", "/etc/passwd", ".."])
def test_a_manifest_that_points_out_of_the_folder_is_refused(folder, name):
    (folder / "web01.mf").write_text(f"SHA256({name})= {'0' * 64}\n")
    error = refusal(folder)
    assert error.reason is Reason.ARCHIVE_UNSAFE
    assert name in error.message


def test_a_disk_that_is_a_link_is_refused(folder, tmp_path):
    (folder / "web01-disk1.vmdk").rename(tmp_path / "elsewhere.vmdk")
    (folder / "web01-disk1.vmdk").symlink_to(tmp_path / "elsewhere.vmdk")
    error = refusal(folder, ImageError)
    assert error.reason is Reason.IMAGE_REFERENCE_UNSAFE
    assert "no plain file" in error.message


def test_a_machine_of_a_million_processors_is_refused(folder):
    size = (folder / "web01-disk1.vmdk").stat().st_size
    replaced(folder, ovf_text({"web01-disk1.vmdk": size}, cpus=1_000_000))
    error = refusal(folder)
    assert error.reason is Reason.MACHINE_DESCRIPTION_INVALID
    assert "sockets" in error.message


def test_other_disks_may_lie_beside(folder):
    disk_image(folder, "other.vmdk", seed=7)
    assert len(fetched(folder).disks) == 1


@pytest.mark.parametrize("left_out", ["web01.ovf", "web01-disk1.vmdk"])
def test_a_manifest_without_a_file_of_the_machine_is_refused(folder, left_out):
    lines = (folder / "web01.mf").read_text().splitlines(keepends=True)
    (folder / "web01.mf").write_text("".join(line for line in lines if f"({left_out})" not in line))
    error = refusal(folder)
    assert error.reason is Reason.ARCHIVE_INCOMPLETE
    assert f"web01.mf has no digest of {left_out}" in error.message
    assert "remove the manifest" in error.hint


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_manifest_is_refused(folder, text):
    (folder / "web01.mf").write_text(text)
    assert refusal(folder).reason is Reason.ARCHIVE_INCOMPLETE


def test_a_manifest_that_is_a_link_is_neither_followed_nor_quoted(folder, tmp_path):
    (tmp_path / "secret").write_text("root:x:0:0\n")
    (folder / "web01.mf").unlink()
    (folder / "web01.mf").symlink_to(tmp_path / "secret")
    error = refusal(folder)
    assert error.reason is Reason.ARCHIVE_UNSAFE
    assert "root:" not in error.message


def test_a_manifest_that_is_not_understood_is_not_quoted(folder):
    (folder / "web01.mf").write_text("\nroot:x:0:0\n")
    error = refusal(folder)
    assert error.reason is Reason.MACHINE_DESCRIPTION_INVALID
    assert "line 2" in error.message
    assert "root:" not in error.message


@pytest.mark.parametrize("name", ["web01.mf", "web01-disk1.vmdk"])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert refusal(folder, ImageError).reason is Reason.IMAGE_REFERENCE_UNSAFE


def test_a_folder_whose_files_may_not_be_looked_at_is_unreadable(folder, monkeypatch):
    """Root may look at everything: the answer is the kernel's to others."""

    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.lstat", denied)
    assert refusal(folder).reason is Reason.SOURCE_UNREADABLE
