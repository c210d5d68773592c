import lzma
import struct

import pytest

from hyper2kvm.accelerator import find_kernel
from hyper2kvm.guest import appliancekernel
from hyper2kvm.guest.linux.compression import ERRORS

KERNEL = find_kernel(environment={})
PVH = struct.pack("<III4sQ", 4, 8, 18, b"Xen\0", 0x1000000)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "hyper2kvm/appliance"


def bzimage(payload: bytes) -> bytes:
    """The least that is one: a boot sector, one sector of set-up, and the payload."""
    head = bytearray(1024)
    head[0x1F1] = 1
    struct.pack_into("<H2x4sH", head, 0x1FE, 0xAA55, b"HdrS", 0x020F)
    struct.pack_into("<II", head, 0x248, 0, len(payload))
    return bytes(head) + payload


def xz(content: bytes) -> bytes:
    return lzma.compress(content)


def test_this_machines_kernel_is_an_elf_file_that_qemu_starts():
    image = appliancekernel.unpacked(KERNEL.read_bytes())
    assert image.startswith(b"\x7fELF")
    assert b"Linux version 6." in image


def test_a_kernel_without_a_pvh_entry_is_left_as_it_is(tmp_path):
    path = tmp_path / "kernel"
    for content, expected in ((b"\x7fELF" + PVH, b"\x7fELF" + PVH), (b"\x7fELF", bzimage(xz(b"\x7fELF")))):
        path.write_bytes(bzimage(xz(content)))
        appliancekernel.main(path)
        assert path.read_bytes() == expected


@pytest.mark.parametrize(
    "image",
    [
        b"",
        b"\x7fELF".ljust(4096, b"\0"),
        bzimage(b"no compression"),
        bzimage(xz(b"\x7fELF" + PVH)[:-20]),
        bzimage(b"\xfd7zXZ\0".ljust(400, b"\xff")),
    ],
)
def test_what_is_no_kernel_is_refused(image):
    with pytest.raises(ERRORS):
        appliancekernel.unpacked(image)


def test_supermin_is_given_a_kernel_that_is_unpacked_once(cache):
    cache.mkdir(parents=True)
    (cache / "vmlinuz-5.10.0-8-amd64.1.2").touch()
    folder, settings = appliancekernel.prepare({})
    assert folder == cache
    (kept,) = cache.iterdir()
    assert settings["SUPERMIN_KERNEL"] == str(kept)
    assert KERNEL.name.endswith(settings["SUPERMIN_KERNEL_VERSION"])
    written = kept.stat().st_mtime_ns
    assert appliancekernel.prepare({}) == (folder, settings)
    assert kept.stat().st_mtime_ns == written


@pytest.mark.parametrize("name", ["LIBGUESTFS_PATH", "SUPERMIN_KERNEL"])
def test_a_choice_of_the_user_stands(cache, name):
    assert appliancekernel.prepare({name: "/elsewhere"}) is None


def test_a_cache_that_cannot_be_written_leaves_the_distributions_kernel(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    assert appliancekernel.prepare({}) is None
