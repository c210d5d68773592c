import os
import shutil
import tempfile
from pathlib import Path

import pytest

from hyper2kvm.sources.files import description_at
from hyper2kvm.sources.image import DiskImage
from hyper2kvm.sources.ova import Ova
from hyper2kvm.sources.ovffolder import OvfFolder
from hyper2kvm.sources.vmx import VmxFolder
from hyper2kvm_api.migration import ImageFormat
from hyper2kvm_api.reasons import Reason
from unit.sources.refusing import refusal

NOBODY = 65534


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "web01"
    made.mkdir()
    return made


@pytest.fixture
def nobody():
    """A folder that everybody sees, and a process that may open what everybody may."""
    made = Path(tempfile.mkdtemp(prefix="h2k-sources-"))
    made.chmod(0o755)
    was = os.geteuid()
    yield lambda: os.seteuid(NOBODY) if was == 0 else None, made
    os.seteuid(was)
    shutil.rmtree(made)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("web01.vmx", VmxFolder), ("WEB01.VMX", VmxFolder), ("web01.ovf", OvfFolder), ("web01.ova", Ova)],
)
def test_a_folder_is_what_the_one_description_in_it_is(folder, name, kind):
    (folder / name).touch()
    (folder / "web01.vmdk").touch()
    (folder / "vmware.log").touch()
    assert isinstance(description_at(folder, None), kind)
    assert isinstance(description_at(folder / name, None), kind)


def test_a_vmx_counts_before_an_ovf_beside_it(folder):
    for name in ("web01.vmx", "web01.ovf", "web01.ova"):
        (folder / name).touch()
    assert isinstance(description_at(folder, None), VmxFolder)


@pytest.mark.parametrize("name", ["d.vmdk", "d.qcow2", "d.raw", "d.img", "d.IMG", "d.vhd", "d.vpc", "d.vhdx", "d.vdi"])
def test_a_single_image_is_of_the_format_that_its_name_says(folder, name):
    (folder / name).touch()
    assert isinstance(description_at(folder / name, None), DiskImage)


def test_a_stated_format_counts_before_the_name_and_not_for_folders(folder):
    (folder / "disk.bin").touch()
    assert isinstance(description_at(folder / "disk.bin", ImageFormat.RAW), DiskImage)
    (folder / "web01.vmx").touch()
    assert isinstance(description_at(folder, ImageFormat.RAW), VmxFolder)


def test_a_missing_path_is_refused_with_what_resembles_it(folder):
    (folder / "web01.ova").touch()
    error = refusal(folder / "web1.ova")
    assert error.reason is Reason.SOURCE_NOT_FOUND
    assert str(folder / "web1.ova") in error.message
    assert error.hint == f"Did you mean {folder / 'web01.ova'}?"


def test_a_missing_folder_is_named_by_its_first_missing_part(folder):
    error = refusal(folder.parent / "web02" / "exports" / "web01.ova")
    assert error.reason is Reason.SOURCE_NOT_FOUND
    assert error.hint == f"Did you mean {folder}?"


def test_a_missing_path_that_resembles_nothing_is_refused_with_what_to_check(folder):
    error = refusal(folder / "zzz.ova")
    assert error.reason is Reason.SOURCE_NOT_FOUND
    assert "spec.source.files.path" in error.hint


def test_a_name_that_no_file_can_have_is_refused(folder):
    assert refusal(folder / ("x" * 300)).reason is Reason.SOURCE_UNREADABLE
    assert refusal(folder / "a\0b").reason is Reason.SOURCE_NOT_FOUND


@pytest.mark.parametrize(("first", "second"), [("a.vmx", "b.vmx"), ("a.ovf", "b.OVF"), ("a.ova", "b.ova")])
def test_a_folder_with_two_machines_is_refused_with_their_names(folder, first, second):
    (folder / first).touch()
    (folder / second).touch()
    error = refusal(folder)
    assert error.reason is Reason.SOURCE_AMBIGUOUS
    assert f"{first}, {second}" in error.message
    assert "Name one of the files" in error.hint


def test_a_folder_of_images_alone_is_refused_with_one_of_them(folder):
    (folder / "disk.qcow2").touch()
    error = refusal(folder)
    assert error.reason is Reason.SOURCE_UNRECOGNISED
    assert "such as disk.qcow2" in error.hint


def test_an_empty_folder_is_refused(folder):
    error = refusal(folder)
    assert error.reason is Reason.SOURCE_UNRECOGNISED
    assert ".vmx or .ovf" in error.hint


def test_an_unknown_extension_is_refused_with_how_to_state_the_format(folder):
    (folder / "disk.bin").touch()
    error = refusal(folder / "disk.bin")
    assert error.reason is Reason.SOURCE_UNRECOGNISED
    assert "spec.source.files.format" in error.hint


@pytest.mark.parametrize("name", ["web01.ova", "web01.vmx", "web01.raw"])
def test_a_link_is_not_followed(folder, name):
    (folder / name).symlink_to("/etc/passwd")
    error = refusal(folder / name)
    assert error.reason is Reason.SOURCE_UNRECOGNISED
    assert "is a link" in error.message
    assert "Name the file that it points to" in error.hint


def test_a_link_in_a_folder_is_not_followed(folder):
    (folder / "web01.vmx").symlink_to("/etc/passwd")
    assert "is a link" in refusal(folder).message


@pytest.mark.parametrize("format_", [None, ImageFormat.RAW])
def test_a_device_or_pipe_is_no_source(folder, format_):
    os.mkfifo(folder / "disk.raw")
    for path in (folder / "disk.raw", Path("/dev/zero")):
        error = refusal(path, format_=format_)
        assert error.reason is Reason.SOURCE_UNRECOGNISED
        assert "no plain file" in error.message


@pytest.mark.parametrize("name", ["web01.vmx", "web01.ovf", "web01.ova", "web01.raw", "web01.vmdk"])
def test_a_file_that_may_not_be_read_is_refused(nobody, name):
    become, folder = nobody
    (folder / name).touch(mode=0o600)
    if os.geteuid() != 0:
        (folder / name).chmod(0)
    become()
    error = refusal(folder / name)
    assert error.reason is Reason.SOURCE_UNREADABLE
    assert name in error.message
    assert "Permission denied" in error.message
    assert "uid 107" in error.hint


def test_a_folder_that_may_not_be_read_is_refused(nobody):
    become, folder = nobody
    inner = folder / "web01"
    inner.mkdir()
    inner.chmod(0)
    become()
    assert refusal(inner).reason is Reason.SOURCE_UNREADABLE
