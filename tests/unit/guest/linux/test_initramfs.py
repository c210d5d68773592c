import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyper2kvm.guest.linux import cpio, initramfs
from hyper2kvm.guest.linux.bytesource import HeldBytes
from hyper2kvm.guest.linux.compression import Compression
from hyper2kvm_api.errors import GuestError
from hyper2kvm_api.reasons import Reason

VERSION = "6.1.0-9-amd64"
PATH = f"/boot/initrd.img-{VERSION}"
SMALL = cpio.write([cpio.Member("lib", 0o120777, b"usr/lib"), cpio.Member("init", 0o100755, b"#!/bin/sh\n")])
COMPRESSIONS = ["plain", "gzip", "xz", "zstd", "lz4", "lzma", "bzip2", "lzo"]


@pytest.mark.parametrize("early", [False, True], ids=["alone", "behind microcode"])
@pytest.mark.parametrize("compressor", COMPRESSIONS)
def test_modules_layout_and_generator_are_found_in_every_compression(images, compressor, early):
    found = initramfs.read(HeldBytes(images.initramfs_tools(compressor=compressor, early=early)), PATH)
    assert found.generator == "initramfs-tools"
    assert found.last is Compression(compressor)
    assert found.module_folder(VERSION) == f"usr/lib/modules/{VERSION}"
    assert found.modules(VERSION)["vmw_pvscsi"] == "kernel/drivers/scsi/vmw_pvscsi.ko"
    assert ("kernel/x86/microcode/GenuineIntel.bin" in found.modes) is early


def test_configuration_is_kept_and_programs_are_not(images):
    found = initramfs.read(HeldBytes(images.initramfs_tools()), PATH)
    assert found.files["conf/modules"] == b"vmw_pvscsi\n"
    assert "usr/bin/sh" in found.modes
    assert "usr/bin/sh" not in found.files


@pytest.mark.parametrize("padding", [0, 4, 512])
def test_a_later_archive_replaces_files_of_an_earlier_one(images, padding):
    first = images.initramfs_tools(compressor="gzip")
    second = images.image({"conf/modules": b"virtio_blk\n"}, compressor="xz")
    found = initramfs.read(HeldBytes(first + b"\0" * padding + second), PATH)
    assert found.files["conf/modules"] == b"virtio_blk\n"
    assert found.last is Compression.XZ


@pytest.mark.parametrize("name", ["virtio-rng.ko", "virtio_rng.ko.gz", "virtio-rng.ko.xz", "virtio_rng.ko.zst"])
def test_modules_are_known_by_the_kernels_name(images, name):
    found = initramfs.read(HeldBytes(images.initramfs_tools(modules=(f"kernel/drivers/char/{name}",))), PATH)
    assert found.modules(VERSION) == {"virtio_rng": f"kernel/drivers/char/{name}"}


def test_dracut_is_known_by_its_release_file(images):
    image = images.image({"etc/initrd-release": b"VERSION=dracut-059-4\n"}, {"lib": "usr/lib"})
    assert initramfs.read(HeldBytes(image), PATH).generator == "dracut"


def test_the_folder_of_modules_follows_the_link_when_there_are_none(images):
    merged = initramfs.read(HeldBytes(images.image({"usr/lib/x": b""}, {"lib": "usr/lib"})), PATH)
    split = initramfs.read(HeldBytes(images.image({"lib/x": b""})), PATH)
    assert merged.module_folder(VERSION) == f"usr/lib/modules/{VERSION}"
    assert split.module_folder(VERSION) == f"lib/modules/{VERSION}"


def test_links_that_lead_in_circles_end(images):
    found = initramfs.read(HeldBytes(images.image({}, {"a": "b", "b": "a", "up": "../../.."})), PATH)
    assert found.resolve("a/x")
    assert found.resolve("up/etc") == "etc"


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (b"", "is empty"),
        (bytes(4096), "is empty"),
        (b"#!/bin/sh\n", "byte 0 begins neither"),
        (b"070701" + b"0" * 60, "ends in the middle"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xff\xff", "cannot be read"),
    ],
    ids=["empty", "zeros", "text", "cut", "damaged"],
)
def test_what_no_kernel_would_take_is_refused(image, message):
    with pytest.raises(GuestError, match=message) as caught:
        initramfs.read(HeldBytes(image), PATH)
    assert caught.value.reason is Reason.INITRAMFS_UNSUPPORTED
    assert caught.value.file == PATH
    assert "Rebuild it in the guest" in caught.value.hint


@pytest.mark.parametrize("compressor", COMPRESSIONS)
def test_an_image_that_was_cut_is_refused(images, compressor):
    image = images.initramfs_tools(compressor=compressor)
    with pytest.raises(GuestError):
        initramfs.read(HeldBytes(image[: len(image) // 2]), PATH)


@given(at=st.integers(0, len(SMALL) - 1), damage=st.binary(min_size=1, max_size=8))
def test_damage_anywhere_is_refused_or_read_and_nothing_else(at, damage):
    with contextlib.suppress(GuestError):
        initramfs.read(HeldBytes(SMALL[:at] + damage + SMALL[at + len(damage) :]), PATH)
