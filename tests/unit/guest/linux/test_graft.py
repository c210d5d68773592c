import stat
import subprocess

import pytest

from hyper2kvm.guest.linux import graft, initramfs, modules
from hyper2kvm.guest.linux.bytesource import HeldBytes
from hyper2kvm.guest.linux.kernels import DRIVERS
from lab.memoryguest import MemoryGuest

from .conftest import VERSION, module_files
from .situations import memory

PATH = f"/boot/initrd.img-{VERSION}"
FOLDER = f"usr/lib/modules/{VERSION}"
COMPRESSIONS = ["plain", "gzip", "xz", "zstd", "lz4", "lzma", "bzip2", "lzo"]


def grafted(image: bytes, guest: MemoryGuest, files: dict[str, bytes] | None = None, *, compress: bool = True) -> bytes:
    before = initramfs.read(HeldBytes(image), PATH)
    tree = modules.read(guest, f"/lib/modules/{VERSION}")
    drivers = graft.driver_files(guest, before, VERSION, tree, DRIVERS)
    return image + graft.graft(before, VERSION, drivers, files or {}, compress=compress).content


@pytest.mark.parametrize("compress", [True, False], ids=["gzip", "plain"])
@pytest.mark.parametrize("compressor", COMPRESSIONS)
def test_a_grafted_image_has_the_drivers_and_what_it_had(images, compressor, compress):
    image = images.initramfs_tools(compressor=compressor)
    after = initramfs.read(HeldBytes(grafted(image, memory(module_files()), compress=compress)), PATH)
    held = after.modules(VERSION)
    assert held.keys() >= {*DRIVERS, "failover", "net_failover", "virtio_pci_modern_dev", "vmw_pvscsi"}
    assert {"conf/initramfs.conf", "scripts/functions"} <= after.modes.keys()
    assert after.links["lib"] == "usr/lib"


def test_archives_begin_at_multiples_of_four(images):
    image = images.initramfs_tools(compressor="gzip") + b"\0"
    image += b"\0" * (3 - len(image) % 4 if len(image) % 4 < 3 else 0)
    made = grafted(image, memory(module_files()), compress=False)
    start = made.index(b"070701", len(image))
    assert start % 4 == 0


def test_nothing_stands_between_lz4_frames(images):
    image = images.initramfs_tools(compressor="lz4")
    assert grafted(image, memory(module_files()))[len(image) :].startswith(b"\x02\x21\x4c\x18")


def test_the_index_fits_modules_that_only_one_side_packs(images, tmp_path):
    """The root file system has .ko.xz, mkinitramfs unpacked what it took: modprobe must find both."""
    image = images.initramfs_tools(compressor="plain")
    made = grafted(image, memory(module_files(suffix=".xz")), compress=False)
    for start in (0, len(image) + -len(image) % 4):
        subprocess.run(["cpio", "-idu", "--quiet"], input=made[start:], cwd=tmp_path, check=True)
    for name in ("virtio_net", "virtio_scsi", "vmw_pvscsi"):
        asked = ["modprobe", "-d", str(tmp_path), "-S", VERSION, "--show-depends", name]
        shown = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
        paths = [word for word in shown if word.startswith("/")]
        assert paths[-1].endswith(f"/{name}.ko")
        subprocess.run(["test", *" -a ".join(f"-f {path}" for path in paths).split()], check=True)
    assert (tmp_path / FOLDER / "kernel/drivers/net/virtio_net.ko").read_bytes() == b"kernel/drivers/net/virtio_net.ko"


def test_no_folder_is_made_where_one_or_a_link_is(images):
    image = images.initramfs_tools(compressor="plain")
    made = grafted(image, memory(module_files()), {"etc/modprobe.d/a.conf": b"#\n"}, compress=False)
    added = initramfs.read(HeldBytes(made[len(image) + -len(image) % 4 :]), PATH)
    folders = {path for path, mode in added.modes.items() if stat.S_ISDIR(mode)}
    assert {"etc", "etc/modprobe.d", f"{FOLDER}/kernel/net"} <= folders
    assert not folders & {"lib", "usr", "usr/lib", FOLDER}


def test_files_go_where_the_images_links_lead(images):
    image = images.image({"usr/etc/x": b""}, {"etc": "usr/etc"}, compressor="plain")
    before = initramfs.read(HeldBytes(image), PATH)
    made = graft.graft(before, VERSION, [], {"etc/fstab": b"new\n"}, compress=False)
    assert made.files == ("usr/etc/fstab",)
    assert made.modules == ()
    assert initramfs.read(HeldBytes(image + made.content), PATH).modes["usr/etc/fstab"]


def test_the_same_image_and_modules_give_the_same_bytes(images):
    image, guest = images.initramfs_tools(), memory(module_files())
    assert grafted(image, guest) == grafted(image, guest)


def test_modules_that_are_built_in_are_not_added(images):
    guest = memory(module_files(built_in=("virtio", "virtio_ring", "virtio_blk")))
    after = initramfs.read(HeldBytes(grafted(images.initramfs_tools(), guest)), PATH)
    assert "virtio_blk" not in after.modules(VERSION)
    assert "virtio_pci" in after.modules(VERSION)


def test_a_module_that_unpacks_to_too_much_is_refused(images, monkeypatch):
    monkeypatch.setattr(graft, "MAX_MODULE", 10)
    with pytest.raises(ValueError, match="unpacks to more than"):
        grafted(images.initramfs_tools(), memory(module_files(suffix=".xz")))
