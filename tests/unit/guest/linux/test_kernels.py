import itertools
import struct
import subprocess

import pytest

from hyper2kvm.guest.description import DriverPlace, Kernel
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


@pytest.mark.parametrize(
    "name", [f"vmlinuz-{VERSION}{suffix}" for suffix in (".dpkg-bak", ".dpkg-tmp", ".rpmsave", ".sig", ".efi.signed")]
)
def test_what_grubs_menu_passes_over_is_no_kernel(images, name):
    guest = memory({IMAGE: b"kernel", INITRD: images.initramfs_tools(), f"/boot/{name}": b"kernel"})
    assert [kernel.image for kernel in kernels.find(guest)] == [IMAGE]


def test_a_kernel_that_was_replaced_has_the_modules_of_its_release(images):
    older = f"{IMAGE}.old"
    guest = memory({IMAGE: b"kernel", INITRD: images.initramfs_tools(), older: b"kernel", **module_files()})
    found = {kernel.image: kernel for kernel in kernels.find(guest)}
    assert (found[older].version, found[older].initramfs) == (VERSION, INITRD)
    assert found[older].modules == found[IMAGE].modules == f"/lib/modules/{VERSION}"


def bare(version: str, modules: str | None = None) -> Kernel:
    return Kernel(version=version, image=f"/boot/vmlinuz-{version}", initramfs=None, modules=modules, drivers={})


def test_the_default_is_the_newest_kernel_that_is_whole():
    """6.1.0-10 is newer than 6.1.0-9, whatever letters say; of 7.0 somebody left the image alone."""
    whole = [bare("6.1.0-9", "/lib/modules/6.1.0-9"), bare("6.1.0-10", "/lib/modules/6.1.0-10")]
    assert kernels.default([*whole, bare("7.0.backup")]).version == "6.1.0-10"
    assert kernels.default([bare("6.1"), bare("7.0")]).version == "7.0"


def test_releases_sort_as_dpkg_sorts_versions():
    releases = [
        *("5.10.0-8-amd64", "5.10.0-30-amd64", "6.1.0-9-amd64", "6.1.0-10-amd64", "6.1.0-10-cloud-amd64"),
        *("6.1~rc8-amd64", "6.1-amd64", "6.1.0+bpo.1-amd64", "6.1.0-rt-amd64", "6.1.0", "6.1.0a", "6.01.0-9-amd64"),
    ]
    for one, other in itertools.combinations(releases, 2):
        is_older = subprocess.run(["dpkg", "--compare-versions", one, "lt", other], check=False).returncode == 0
        assert (kernels.release_order(one) < kernels.release_order(other)) is is_older, (one, other)


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
