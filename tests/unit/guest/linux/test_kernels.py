import struct

import pytest

from hyper2kvm.guest.description import DriverPlace
from hyper2kvm.guest.linux import kernels

from .conftest import VERSION, module_files
from .situations import memory

IMAGE, INITRD = f"/boot/vmlinuz-{VERSION}", f"/boot/initrd.img-{VERSION}"
VIRTIO_PATHS = (
    "kernel/drivers/virtio/virtio.ko",
    "kernel/drivers/virtio/virtio_ring.ko",
    "kernel/drivers/virtio/virtio_pci.ko",
    "kernel/drivers/block/virtio_blk.ko",
    "kernel/drivers/scsi/virtio_scsi.ko",
    "kernel/drivers/net/virtio_net.ko",
)


def unified_image(sections: dict[str, bytes]) -> bytes:
    """An EFI program with these sections and nothing else (PE Format, sections 2 to 4)."""
    header = bytearray(b"MZ" + bytes(0x3A) + struct.pack("<I", 0x40))
    header += b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, len(sections), 0, 0, 0, 0, 0)
    at, body = len(header) + 40 * len(sections), b""
    for name, content in sections.items():
        header += struct.pack(
            "<8sIIIIIIHHI", name.encode(), len(content), 0, len(content), at + len(body), 0, 0, 0, 0, 0
        )
        body += content
    return bytes(header) + body


def test_drivers_are_placed(images):
    guest = memory(
        {
            IMAGE: b"kernel",
            INITRD: images.initramfs_tools(modules=("kernel/drivers/virtio/virtio_pci.ko",)),
            **module_files(built_in=("virtio", "virtio_net")),
        }
    )
    (kernel,) = kernels.find(guest)
    assert (kernel.version, kernel.image, kernel.initramfs) == (VERSION, IMAGE, INITRD)
    assert (kernel.generator, kernel.modules) == ("initramfs-tools", f"/lib/modules/{VERSION}")
    assert kernel.drivers == {
        "virtio": DriverPlace.BUILT_IN,
        "virtio_ring": DriverPlace.MODULES,
        "virtio_pci": DriverPlace.INITRAMFS,
        "virtio_blk": DriverPlace.MODULES,
        "virtio_scsi": DriverPlace.MODULES,
        "virtio_net": DriverPlace.BUILT_IN,
    }
    assert not kernel.boots_from_virtio


def test_a_kernel_with_everything_boots_from_virtio(images):
    guest = memory({IMAGE: b"kernel", INITRD: images.initramfs_tools(modules=VIRTIO_PATHS), **module_files()})
    assert kernels.find(guest)[0].boots_from_virtio


def test_a_kernel_without_modules_misses_its_drivers():
    (kernel,) = kernels.find(memory({IMAGE: b"kernel"}))
    assert (kernel.initramfs, kernel.modules) == (None, None)
    assert set(kernel.drivers.values()) == {DriverPlace.MISSING}


@pytest.mark.parametrize("name", ["/boot/initrd.img-{}", "/boot/initramfs-{}.img", "/boot/initrd-{}"])
def test_each_distributions_name_of_the_initramfs_is_known(images, name):
    guest = memory({IMAGE: b"kernel", name.format(VERSION): images.initramfs_tools()})
    assert kernels.find(guest)[0].initramfs == name.format(VERSION)


def test_an_initramfs_that_was_cut_holds_nothing(images):
    guest = memory({IMAGE: b"kernel", INITRD: images.initramfs_tools()[:-60], **module_files()})
    (kernel,) = kernels.find(guest)
    assert kernel.generator is None
    assert kernel.drivers["virtio_blk"] is DriverPlace.MODULES


def test_every_kernel_is_found(images):
    older = "5.10.0-30-amd64"
    guest = memory(
        {
            IMAGE: b"kernel",
            INITRD: images.initramfs_tools(),
            f"/boot/vmlinuz-{older}": b"kernel",
            f"/boot/initrd.img-{older}": images.initramfs_tools(older),
        }
    )
    assert [kernel.version for kernel in kernels.find(guest)] == [older, VERSION]


def test_the_copy_that_systemd_boot_starts_is_found_beside_the_one_in_boot(images):
    entry = (
        f"title Debian\nversion {VERSION}\noptions root=UUID=1 ro\n"
        f"linux /debian/{VERSION}/linux\ninitrd /debian/{VERSION}/initrd.img-{VERSION}\n"
    )
    folder = f"/boot/efi/debian/{VERSION}"
    guest = memory(
        {
            IMAGE: b"kernel",
            INITRD: images.initramfs_tools(),
            f"/boot/efi/loader/entries/debian-{VERSION}.conf": entry.encode(),
            f"{folder}/linux": b"kernel",
            f"{folder}/initrd.img-{VERSION}": images.initramfs_tools(),
        }
    )
    assert [kernel.image for kernel in kernels.find(guest)] == [f"{folder}/linux", IMAGE]
    assert kernels.find(guest)[0].initramfs == f"{folder}/initrd.img-{VERSION}"


def test_entries_cannot_name_files_outside_of_their_partition():
    entry = b"version 1\nlinux ../../../etc/shadow\n"
    guest = memory({"/boot/loader/entries/a.conf": entry, "/etc/shadow": b"", "/boot/etc/shadow": b"kernel"})
    assert [kernel.image for kernel in kernels.find(guest)] == ["/boot/etc/shadow"]


def test_a_unified_image_is_described_by_its_sections(images):
    program = unified_image(
        {
            ".linux": b"kernel",
            ".uname": VERSION.encode(),
            ".initrd": images.initramfs_tools(modules=VIRTIO_PATHS[:4]),
        }
    )
    guest = memory({"/boot/efi/EFI/Linux/debian.efi": program, **module_files()})
    (kernel,) = kernels.find(guest)
    assert (kernel.version, kernel.generator, kernel.initramfs) == (VERSION, kernels.UNIFIED, None)
    assert kernel.drivers["virtio_blk"] is DriverPlace.INITRAMFS
    assert kernel.drivers["virtio_net"] is DriverPlace.MODULES
    assert "virtio_pci" in kernels.early_modules(guest, kernel)


@pytest.mark.parametrize("program", [b"", b"MZ", b"MZ" + bytes(0x3A) + b"\xff\xff\xff\xff", b"MZ" + bytes(200)])
def test_an_efi_program_that_is_none_is_passed_over(program):
    assert kernels.find(memory({"/boot/efi/EFI/Linux/x.efi": program})) == ()
