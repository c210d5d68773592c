"""Every format and chain reads as the disk that it was made from, and only overlays are written."""

import struct
from pathlib import Path

import nbd
import pytest

from hyper2kvm.disk.graph import check_opens, flatten_disk, graph_holds
from hyper2kvm.disk.nodes import FileNode, FlatDisk, ImageNode, overlay_options
from hyper2kvm.disk.overlay import create_overlay
from hyper2kvm.disk.server import NbdServer
from hyper2kvm_api.errors import HostError, ImageError
from hyper2kvm_api.migration import ImageFormat
from hyper2kvm_api.reasons import Reason
from unit.disk.examining import content, examined, graph, read
from unit.disk.images import SIZE, VMDK_SUBFORMATS, convert, digests, make_raw, qemu_img, snapshot, write

FORMATS = [
    (ImageFormat.QCOW2, "qcow2", {}),
    (ImageFormat.QCOW2, "qcow2", {"compat": "0.10"}),
    (ImageFormat.QCOW2, "qcow2", {"extended_l2": "on", "cluster_size": "128k"}),
    (ImageFormat.QCOW2, "qcow2", {"cluster_size": "512"}),
    (ImageFormat.QCOW2, "qcow2", {"preallocation": "metadata"}),
    (ImageFormat.RAW, "raw", {}),
    (ImageFormat.VHD, "vpc", {"subformat": "dynamic", "force_size": "on"}),
    (ImageFormat.VHD, "vpc", {"subformat": "fixed", "force_size": "on"}),
    (ImageFormat.VHDX, "vhdx", {"subformat": "dynamic"}),
    (ImageFormat.VHDX, "vhdx", {"subformat": "fixed"}),
    (ImageFormat.VDI, "vdi", {}),
    (ImageFormat.VDI, "vdi", {"static": "on"}),
]


@pytest.mark.parametrize("subformat", VMDK_SUBFORMATS)
def test_every_kind_of_vmdk_reads_as_the_disk_it_was_made_from(raw, folder, tmp_path, subformat):
    image = convert(raw, folder / "web01.vmdk", "vmdk", subformat=subformat)
    assert examined(image).capacity == SIZE
    assert read(image, tmp_path) == raw.read_bytes()


@pytest.mark.parametrize(("format_", "qemu", "options"), FORMATS)
def test_every_format_reads_as_the_disk_it_was_made_from(raw, folder, tmp_path, format_, qemu, options):
    image = convert(raw, folder / "image", qemu, **options)
    assert examined(image, format_).capacity == SIZE
    assert read(image, tmp_path, format_) == raw.read_bytes()


@pytest.mark.parametrize("type_", ["zlib", "zstd"])
def test_a_compressed_qcow2_is_read(raw, folder, tmp_path, type_):
    options = ["-o", f"compression_type={type_}"]
    qemu_img("convert", "-f", "raw", "-O", "qcow2", "-c", *options, raw, folder / "c.qcow2")
    assert read(folder / "c.qcow2", tmp_path, ImageFormat.QCOW2) == raw.read_bytes()


def test_a_qcow2_whose_last_cluster_is_written_in_part_is_whole(folder, tmp_path):
    """With extended L2 entries QEMU writes single subclusters, and the file may end within a cluster."""
    image = folder / "a.qcow2"
    qemu_img("create", "-f", "qcow2", "-o", "extended_l2=on,cluster_size=128k", image, SIZE)
    write(image, "qcow2", 0, 512)
    assert image.stat().st_size % (128 << 10) != 0
    assert read(image, tmp_path, ImageFormat.QCOW2)[:513] == b"\x5a" * 512 + b"\0"


def test_a_vhd_whose_size_its_geometry_cannot_say_keeps_its_size(folder, tmp_path):
    """QEMU rounds sizes to a whole number of cylinders unless it is told not to."""
    image = make_raw(folder / "odd.raw", size=SIZE + 512 * 7)
    vhd = convert(image, folder / "odd.vhd", "vpc", force_size="on")
    assert examined(vhd, ImageFormat.VHD).capacity == SIZE + 512 * 7
    assert read(vhd, tmp_path, ImageFormat.VHD) == image.read_bytes()


@pytest.mark.parametrize("subformat", ["monolithicSparse", "monolithicFlat", "twoGbMaxExtentSparse"])
def test_a_chain_of_snapshots_is_read_through(raw, folder, tmp_path, subformat):
    base = convert(raw, folder / "web01.vmdk", "vmdk", subformat=subformat)
    middle = snapshot(base, folder / "web01-000001.vmdk", writes=[(0, 65536)])
    top = snapshot(middle, folder / "web01-000002.vmdk", writes=[(SIZE // 2, 4096)])
    expected = bytearray(raw.read_bytes())
    expected[:65536] = b"\x5a" * 65536
    expected[SIZE // 2 : SIZE // 2 + 4096] = b"\x5a" * 4096
    flat = graph(top, tmp_path)
    assert [Path(link).name for link in flat.links] == ["web01-000002.vmdk", "web01-000001.vmdk", "web01.vmdk"]
    assert content(flat.node.options(), tmp_path) == bytes(expected)
    assert {Path(file).parent for file in examined(top).files} == {folder}


def test_an_image_inside_of_an_archive_is_read_in_place(raw, folder, tmp_path):
    image = convert(raw, folder / "a.vmdk", "vmdk", subformat="streamOptimized").read_bytes()
    (folder / "archive").write_bytes(b"x" * 1024 + image + b"y" * 2048)
    assert read(folder / "archive", tmp_path, offset=1024, length=len(image)) == raw.read_bytes()


def test_writes_go_to_the_overlay_and_the_source_stays_as_it_was(raw, folder, tmp_path):
    base = convert(raw, folder / "web01.vmdk", "vmdk", subformat="twoGbMaxExtentSparse")
    top = snapshot(base, folder / "web01-000001.vmdk")
    before = digests(folder)
    flat = graph(top, tmp_path)
    create_overlay(tmp_path / "overlay.qcow2", flat.capacity)
    options = overlay_options(str(tmp_path / "overlay.qcow2"), flat.node.options())
    with NbdServer(options, tmp_path / "nbd", writable=True, log=tmp_path / "log") as server:
        handle = nbd.NBD()
        handle.connect_uri(server.uri)
        for offset in range(0, SIZE, 1 << 20):
            handle.pwrite(b"\x11" * (1 << 20), offset)
        handle.trim(1 << 20, 0)
        handle.flush()
        handle.shutdown()
    assert content(options, tmp_path)[1 << 20 : 2 << 20] == b"\x11" * (1 << 20)
    assert digests(folder) == before


def test_the_overlay_names_no_backing_file(tmp_path):
    create_overlay(tmp_path / "overlay.qcow2", SIZE)
    backing_offset = struct.unpack(">Q", (tmp_path / "overlay.qcow2").read_bytes()[8:16])[0]
    assert backing_offset == 0


@pytest.mark.parametrize("subformat", ["monolithicFlat", "monolithicSparse"])
def test_no_file_of_a_source_is_locked(raw, folder, tmp_path, subformat):
    """Another program may hold it: QEMU's own locks (file-posix.c, OFD) would keep the two apart."""
    image = convert(raw, folder / "web01.vmdk", "vmdk", subformat=subformat)
    exclusive = {"driver": "vmdk", "file": {"driver": "file", "filename": str(image)}}
    with NbdServer(exclusive, tmp_path / "other", writable=True, log=tmp_path / "other.log"):
        assert read(image, tmp_path)[:512] == raw.read_bytes()[:512]


def test_a_graph_whose_descriptor_of_ours_is_gone_does_not_hold(raw, folder, tmp_path):
    flat = graph(convert(raw, folder / "web01.vmdk", "vmdk", subformat="monolithicFlat"), tmp_path)
    assert graph_holds(flat)
    Path(flat.node.file.filename).unlink()
    assert not graph_holds(flat)


class TestOpening:
    def test_what_qemu_does_not_open_is_an_error_of_the_image_in_its_words(self, raw, folder, tmp_path):
        image = convert(raw, folder / "web01.vmdk", "vmdk", subformat="monolithicSparse")
        made = flatten_disk(examined(image), tmp_path / "graph")
        with image.open("r+b") as file:
            file.seek(4)
            file.write(struct.pack("<I", 9))
        with pytest.raises(ImageError, match="Unsupported VMDK version 9") as caught:
            check_opens(made, tmp_path, tmp_path / "log")
        assert caught.value.reason is Reason.IMAGE_UNSUPPORTED
        assert caught.value.disk == "scsi0:0"

    def test_a_size_that_qemu_reads_otherwise_is_an_error(self, raw, tmp_path):
        node = ImageNode(driver="raw", file=FileNode(filename=str(raw)))
        flat = FlatDisk(id="scsi0:0", capacity=SIZE + 512, node=node, links=("disk.raw",))
        with pytest.raises(ImageError, match=f"reads {SIZE} bytes") as caught:
            check_opens(flat, tmp_path, tmp_path / "log")
        assert caught.value.reason is Reason.IMAGE_CORRUPT


class TestServer:
    def test_an_image_that_does_not_open_is_an_error_in_qemus_words(self, tmp_path):
        options = {"driver": "qcow2", "file": {"driver": "file", "filename": str(tmp_path / "nothing")}}
        with pytest.raises(HostError) as caught:
            NbdServer(options, tmp_path / "s", writable=False, log=tmp_path / "log").__enter__()
        assert caught.value.reason is Reason.PROGRAM_FAILED
        assert "No such file" in caught.value.message

    def test_a_path_that_is_too_long_for_a_socket_says_what_to_do(self, tmp_path):
        with pytest.raises(HostError) as caught:
            NbdServer({}, tmp_path / ("x" * 120), writable=False, log=tmp_path / "log")
        assert "--workspace" in caught.value.hint
