import pytest

from hyper2kvm_api.errors import ImageError
from hyper2kvm_api.migration import ImageFormat
from hyper2kvm_api.reasons import Reason
from unit.disk.images import convert, digest, make_raw, snapshot
from unit.sources.exports import SIZE
from unit.sources.refusing import fetched, refusal

FORMATS = [
    ("disk.vmdk", "vmdk", ImageFormat.VMDK),
    ("disk.qcow2", "qcow2", ImageFormat.QCOW2),
    ("disk.img", "raw", ImageFormat.RAW),
    ("disk.vhdx", "vhdx", ImageFormat.VHDX),
    ("disk.vdi", "vdi", ImageFormat.VDI),
]


@pytest.fixture
def raw(tmp_path):
    return make_raw(tmp_path / "made.raw", size=SIZE)


@pytest.mark.parametrize(("name", "qemu", "format_"), FORMATS)
def test_an_image_is_a_machine_with_one_disk_and_sizes_of_its_own(raw, tmp_path, name, qemu, format_):
    path = convert(raw, tmp_path / name, qemu)
    before = digest(path)
    found = fetched(path)
    (disk,) = found.machine.disks
    assert (found.machine.name, found.machine.cpu.count, found.machine.memory) == ("disk", 2, 2 << 30)
    assert (disk.id, disk.capacity, disk.file, found.disks[0].format) == ("scsi0:0", SIZE, name, format_)
    assert found.machine.firmware is None
    assert len(found.machine.nics) == 1
    assert digest(path) == before


def test_a_vhd_has_whole_cylinders_unless_it_says_otherwise(raw, tmp_path):
    path = convert(raw, tmp_path / "disk.vhd", "vpc", force_size="on")
    assert fetched(path).machine.disks[0].capacity == SIZE


def test_extents_and_parents_beside_an_image_count_as_its_files(raw, tmp_path):
    convert(raw, tmp_path / "disk.vmdk", "vmdk", subformat="monolithicFlat")
    snapshot(tmp_path / "disk.vmdk", tmp_path / "disk-000001.vmdk", writes=[(0, 512)])
    found = fetched(tmp_path / "disk-000001.vmdk")
    names = {file.name.rsplit("/", 1)[-1] for file in found.parts}
    assert names == {"disk-000001.vmdk", "disk.vmdk", "disk-flat.vmdk"}


def test_an_image_that_is_not_of_the_stated_format_is_refused(raw, tmp_path):
    path = convert(raw, tmp_path / "disk.vdi", "qcow2")
    error = refusal(path, ImageError)
    assert error.reason is Reason.IMAGE_FORMAT_MISMATCH
    assert "never guessed" in error.hint
    assert fetched(path, ImageFormat.QCOW2).disks[0].format is ImageFormat.QCOW2


@pytest.mark.parametrize(("name", "format_"), [(name, format_) for name, _, format_ in FORMATS])
def test_an_empty_image_is_refused(tmp_path, name, format_):
    (tmp_path / name).touch()
    error = refusal(tmp_path / name, ImageError, format_)
    assert error.reason is Reason.IMAGE_TRUNCATED
    assert "copy it again" in error.hint


def test_a_name_that_is_no_text_is_refused(raw, tmp_path):
    path = tmp_path / b"disk\xff.raw".decode(errors="surrogateescape")
    raw.rename(path)
    error = refusal(path)
    assert error.reason is Reason.MACHINE_DESCRIPTION_INVALID
