import subprocess

import pytest

from hyper2kvm.boot.images import check_image, virtual_size
from hyper2kvm_api.errors import ImageError, ValidationError
from hyper2kvm_api.options import DiskFormat
from hyper2kvm_api.reasons import Reason

MIB = 2**20
SIZE = 5 * MIB


def create(path, format_, *options):
    subprocess.run(["qemu-img", "create", "-q", "-f", format_, *options, path, str(SIZE)], check=True)
    return path


@pytest.fixture
def block_device(tmp_path):
    """A loop device of 8 MiB."""
    backing = tmp_path / "backing"
    with backing.open("wb") as file:
        file.truncate(8 * MIB)
    done = subprocess.run(["losetup", "--find", "--show", backing], check=True, capture_output=True, text=True)
    device = done.stdout.strip()
    yield type(tmp_path)(device)
    subprocess.run(["losetup", "--detach", device], check=True)


@pytest.mark.parametrize("format_", DiskFormat)
def test_sound_images_pass(tmp_path, format_):
    path = create(tmp_path / "image", format_)
    assert virtual_size(path, format_) == SIZE
    check_image("scsi0:0", path, format_, SIZE)


@pytest.mark.parametrize("format_", DiskFormat)
def test_an_image_of_another_size_is_a_mismatch(tmp_path, format_):
    path = create(tmp_path / "image", format_)
    with pytest.raises(ValidationError, match=rf"scsi0:0.*{SIZE} bytes.*{SIZE + 512}") as caught:
        check_image("scsi0:0", path, format_, SIZE + 512)
    assert caught.value.reason is Reason.CONTENT_MISMATCH
    assert caught.value.disk == "scsi0:0"
    assert "storage" in caught.value.hint


def test_a_block_device_may_be_larger_but_not_smaller(block_device):
    check_image("scsi0:0", block_device, DiskFormat.RAW, SIZE)
    with pytest.raises(ValidationError):
        check_image("scsi0:0", block_device, DiskFormat.RAW, 8 * MIB + 512)


def test_a_qcow2_with_wrong_reference_counts_is_a_mismatch(tmp_path):
    path = create(tmp_path / "image", "qcow2")
    subprocess.run(["qemu-io", "-c", "write 0 1M", path], check=True, capture_output=True)
    content = bytearray(path.read_bytes())
    refcounts = int.from_bytes(content[int.from_bytes(content[48:56], "big") :][:8], "big")
    content[refcounts + 10 : refcounts + 14] = bytes(4)
    path.write_bytes(content)
    with pytest.raises(ValidationError, match="qemu-img check ended with") as caught:
        check_image("scsi0:0", path, DiskFormat.QCOW2, SIZE)
    assert caught.value.reason is Reason.CONTENT_MISMATCH


def test_an_image_of_another_format_is_not_read(tmp_path):
    with pytest.raises(ImageError, match="no readable qcow2 image") as caught:
        virtual_size(create(tmp_path / "image", "vdi"), DiskFormat.QCOW2)
    assert caught.value.reason is Reason.IMAGE_FORMAT_MISMATCH
    assert "State the format" in caught.value.hint


def test_a_base_that_an_image_names_is_not_opened(tmp_path):
    path = tmp_path / "image"
    options = ["-u", "-b", "/dev/does-not-exist", "-F", "raw"]
    create(path, "qcow2", *options)
    assert virtual_size(path, DiskFormat.QCOW2) == SIZE


def test_an_image_that_keeps_its_content_elsewhere_is_refused(tmp_path):
    path = create(tmp_path / "image", "qcow2", "-o", f"data_file={tmp_path / 'data'}")
    with pytest.raises(ImageError, match="another file") as caught:
        virtual_size(path, DiskFormat.QCOW2)
    assert caught.value.reason is Reason.IMAGE_REFERENCE_UNSAFE
    assert "Flatten" in caught.value.hint
