import struct
from pathlib import Path

import nbd
import pytest

from hyper2kvm.disk.graph import capacity_and_name, flatten_disk, source_files
from hyper2kvm.disk.nodes import overlay_options
from hyper2kvm.disk.overlay import create_overlay
from hyper2kvm.disk.server import NbdServer
from hyper2kvm.sources.description import FileRegion, SourceDisk
from hyper2kvm_api.errors import HostError, ImageError, SourceError
from hyper2kvm_api.migration import ImageFormat
from hyper2kvm_api.reasons import Reason
from unit.disk.images import SIZE, VMDK_SUBFORMATS, convert, digests, make_raw, qemu_img, snapshot


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return make_raw(tmp_path_factory.mktemp("raw") / "disk.raw")


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "source"
    made.mkdir()
    return made


def disk(path, format_=ImageFormat.VMDK, **region):
    length = region.pop("length", Path(path).stat().st_size)
    return SourceDisk(
        id="scsi0:0",
        format=format_,
        region=FileRegion(path=str(path), length=length, **region),
        siblings=str(Path(path).parent),
    )


def content(options, tmp_path):
    """What a client reads from the graph, with one that writes all over an overlay of it."""
    with NbdServer(options, tmp_path / "nbd", writable=False, log=tmp_path / "log") as server:
        handle = nbd.NBD()
        handle.connect_uri(server.uri)
        size, step = handle.get_size(), 1 << 20
        data = b"".join(handle.pread(min(step, size - offset), offset) for offset in range(0, size, step))
        handle.shutdown()
    return data


def refusal(source, tmp_path, kind=ImageError):
    with pytest.raises(kind) as caught:
        flatten_disk(source, tmp_path / "scratch")
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("subformat", VMDK_SUBFORMATS)
def test_every_kind_of_vmdk_reads_as_the_disk_it_was_made_from(raw, folder, tmp_path, subformat):
    image = convert(raw, folder / "web01.vmdk", "vmdk", subformat=subformat)
    flat = flatten_disk(disk(image), tmp_path / "scratch")
    assert flat.capacity == SIZE
    assert content(flat.node.options(), tmp_path) == raw.read_bytes()


@pytest.mark.parametrize(
    ("format_", "qemu", "options"),
    [
        (ImageFormat.QCOW2, "qcow2", {}),
        (ImageFormat.QCOW2, "qcow2", {"compat": "0.10"}),
        (ImageFormat.QCOW2, "qcow2", {"extended_l2": "on", "cluster_size": "128k"}),
        (ImageFormat.QCOW2, "qcow2", {"cluster_size": "512"}),
        (ImageFormat.RAW, "raw", {}),
        (ImageFormat.VHD, "vpc", {"subformat": "dynamic", "force_size": "on"}),
        (ImageFormat.VHD, "vpc", {"subformat": "fixed", "force_size": "on"}),
        (ImageFormat.VHDX, "vhdx", {"subformat": "dynamic"}),
        (ImageFormat.VHDX, "vhdx", {"subformat": "fixed"}),
        (ImageFormat.VDI, "vdi", {}),
        (ImageFormat.VDI, "vdi", {"static": "on"}),
    ],
)
def test_every_format_reads_as_the_disk_it_was_made_from(raw, folder, tmp_path, format_, qemu, options):
    image = convert(raw, folder / "image", qemu, **options)
    flat = flatten_disk(disk(image, format_), tmp_path / "scratch")
    assert flat.capacity == SIZE
    assert content(flat.node.options(), tmp_path) == raw.read_bytes()


def test_a_vhd_whose_size_its_geometry_cannot_say_keeps_its_size(folder, tmp_path):
    """QEMU rounds sizes to a whole number of cylinders unless it is told not to."""
    image = make_raw(folder / "odd.raw", size=SIZE + 512 * 7)
    vhd = convert(image, folder / "odd.vhd", "vpc", force_size="on")
    flat = flatten_disk(disk(vhd, ImageFormat.VHD), tmp_path / "scratch")
    assert flat.capacity == SIZE + 512 * 7
    assert len(content(flat.node.options(), tmp_path)) == flat.capacity


def test_a_compressed_qcow2_is_read(raw, folder, tmp_path):
    qemu_img("convert", "-f", "raw", "-O", "qcow2", "-c", raw, folder / "c.qcow2")
    flat = flatten_disk(disk(folder / "c.qcow2", ImageFormat.QCOW2), tmp_path / "scratch")
    assert content(flat.node.options(), tmp_path) == raw.read_bytes()


@pytest.mark.parametrize("subformat", ["monolithicSparse", "monolithicFlat", "twoGbMaxExtentSparse"])
def test_a_chain_of_snapshots_is_read_through(raw, folder, tmp_path, subformat):
    base = convert(raw, folder / "web01.vmdk", "vmdk", subformat=subformat)
    middle = snapshot(base, folder / "web01-000001.vmdk", writes=[(0, 65536)])
    top = snapshot(middle, folder / "web01-000002.vmdk", writes=[(SIZE // 2, 4096)])
    expected = bytearray(raw.read_bytes())
    expected[:65536] = b"\x5a" * 65536
    expected[SIZE // 2 : SIZE // 2 + 4096] = b"\x5a" * 4096
    flat = flatten_disk(disk(top), tmp_path / "scratch")
    assert [Path(link).name for link in flat.links] == ["web01-000002.vmdk", "web01-000001.vmdk", "web01.vmdk"]
    assert content(flat.node.options(), tmp_path) == bytes(expected)
    assert Path(source_files(disk(top))[-1]).parent == folder


def test_an_image_inside_of_an_archive_is_read_in_place(raw, folder, tmp_path):
    image = convert(raw, folder / "a.vmdk", "vmdk", subformat="streamOptimized").read_bytes()
    (folder / "archive").write_bytes(b"x" * 1024 + image + b"y" * 2048)
    source = disk(folder / "archive", offset=1024, length=len(image))
    flat = flatten_disk(source, tmp_path / "scratch")
    assert content(flat.node.options(), tmp_path) == raw.read_bytes()


def test_writes_go_to_the_overlay_and_the_source_stays_as_it_was(raw, folder, tmp_path):
    base = convert(raw, folder / "web01.vmdk", "vmdk", subformat="twoGbMaxExtentSparse")
    top = snapshot(base, folder / "web01-000001.vmdk")
    before = digests(folder)
    flat = flatten_disk(disk(top), tmp_path / "scratch")
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


def test_the_world_wide_name_is_read(raw, folder):
    image = convert(raw, folder / "a.vmdk", "vmdk", subformat="monolithicFlat")
    text = image.read_text().rstrip("\0") + 'ddb.uuid = "60 00 C2 9a 01 23 45 67-89 ab cd ef 01 23 45 67"\n'
    image.write_text(text)
    assert capacity_and_name(disk(image)).wwn == "6000c29a0123456789abcdef01234567"


class TestDescriptors:
    @pytest.fixture
    def image(self, raw, folder):
        return convert(raw, folder / "web01.vmdk", "vmdk", subformat="monolithicFlat")

    def edit(self, image, old, new):
        text = image.read_text()
        assert old in text
        image.write_text(text.replace(old, new))

    @pytest.mark.parametrize(
        "name",
        ["/etc/passwd", "../other.vmdk", "sub/x.vmdk", "..", "nbd:localhost:10809", "json:{}", "C:\\x.vmdk", "-x"],
    )
    def test_extents_that_are_no_plain_names_are_refused(self, image, tmp_path, name):
        self.edit(image, '"web01-flat.vmdk"', f'"{name}"')
        error = refusal(disk(image), tmp_path)
        assert error.reason is Reason.IMAGE_REFERENCE_UNSAFE
        assert name in error.message or repr(name) in error.message

    def test_a_device_beside_the_descriptor_is_refused(self, image, folder, tmp_path):
        self.edit(image, '"web01-flat.vmdk"', '"device"')
        (folder / "device").symlink_to("/dev/vda")
        assert refusal(disk(image), tmp_path).reason is Reason.IMAGE_REFERENCE_UNSAFE

    def test_a_link_out_of_the_folder_is_refused(self, image, folder, tmp_path):
        (folder / "web01-flat.vmdk").rename(tmp_path / "elsewhere")
        (folder / "web01-flat.vmdk").symlink_to(tmp_path / "elsewhere")
        assert refusal(disk(image), tmp_path).reason is Reason.IMAGE_REFERENCE_UNSAFE

    def test_a_missing_extent_is_named(self, image, folder, tmp_path):
        (folder / "web01-flat.vmdk").unlink()
        error = refusal(disk(image), tmp_path)
        assert error.reason is Reason.EXTENT_MISSING
        assert "web01-flat.vmdk" in error.message

    def test_a_short_extent_is_truncated(self, image, folder, tmp_path):
        with (folder / "web01-flat.vmdk").open("r+b") as extent:
            extent.truncate(SIZE - 512)
        assert refusal(disk(image), tmp_path).reason is Reason.IMAGE_TRUNCATED

    @pytest.mark.parametrize("kind", ["VMFSRDM", "SESPARSE", "VMFSRAW", "CUSTOM"])
    def test_extents_that_cannot_be_read_are_refused(self, image, tmp_path, kind):
        self.edit(image, " FLAT ", f" {kind} ")
        assert refusal(disk(image), tmp_path).reason is Reason.IMAGE_UNSUPPORTED

    def test_a_line_that_is_not_understood_is_refused(self, image, tmp_path):
        self.edit(image, "version=1", "version=1\nsomething else")
        assert refusal(disk(image), tmp_path).reason is Reason.IMAGE_CORRUPT

    def test_what_qemu_sees_names_only_links_of_ours(self, image, tmp_path):
        flat = flatten_disk(disk(image), tmp_path / "scratch")
        assert Path(flat.node.file.filename).read_text().count('"extent-000"') == 1
        assert "web01-flat" not in Path(flat.node.file.filename).read_text()


class TestChains:
    @pytest.fixture
    def chain(self, raw, folder):
        base = convert(raw, folder / "web01.vmdk", "vmdk", subformat="monolithicFlat")
        return base, snapshot(base, folder / "web01-000001.vmdk")

    def test_a_parent_that_was_written_afterwards_is_refused(self, chain, tmp_path):
        base, top = chain
        text = base.read_text()
        cid = next(line for line in text.splitlines() if line.startswith("CID="))
        base.write_text(text.replace(cid, "CID=deadbeef"))
        error = refusal(disk(top), tmp_path)
        assert error.reason is Reason.PARENT_CHANGED
        assert "deadbeef" in error.message
        assert "consolidate" in error.hint

    def test_a_missing_parent_is_named(self, chain, tmp_path):
        base, top = chain
        base.unlink()
        error = refusal(disk(top), tmp_path)
        assert error.reason is Reason.PARENT_MISSING
        assert "web01.vmdk" in error.message

    def test_a_chain_that_leads_back_to_itself_is_refused(self, folder, tmp_path):
        text = 'version=1\nCID=11111111\nparentCID=11111111\ncreateType="monolithicFlat"\nparentFileNameHint="{}"\nRW 8 FLAT "x" 0\n'
        (folder / "x").write_bytes(b"\0" * 4096)
        (folder / "a.vmdk").write_text("# Disk DescriptorFile\n" + text.format("b.vmdk"))
        (folder / "b.vmdk").write_text("# Disk DescriptorFile\n" + text.format("a.vmdk"))
        error = refusal(disk(folder / "a.vmdk"), tmp_path)
        assert error.reason is Reason.IMAGE_CORRUPT
        assert "back to itself" in error.message

    def test_a_snapshot_alone_in_an_archive_is_refused(self, chain, tmp_path):
        _, top = chain
        assert refusal(disk(top).replaced(siblings=None), tmp_path).reason is Reason.PARENT_MISSING


class TestDamage:
    @pytest.mark.parametrize(
        ("format_", "qemu", "options"),
        [
            (ImageFormat.QCOW2, "qcow2", {}),
            (ImageFormat.VMDK, "vmdk", {"subformat": "monolithicSparse"}),
            (ImageFormat.VMDK, "vmdk", {"subformat": "streamOptimized"}),
            (ImageFormat.VHD, "vpc", {"force_size": "on"}),
            (ImageFormat.VHDX, "vhdx", {}),
            (ImageFormat.VDI, "vdi", {}),
        ],
    )
    def test_truncated_images_are_found_before_anything_is_converted(
        self, raw, folder, tmp_path, format_, qemu, options
    ):
        image = convert(raw, folder / "image", qemu, **options)
        for share in (0.9, 0.5, 0.1):
            data = image.read_bytes()
            (folder / "cut").write_bytes(data[: int(len(data) * share) // 512 * 512])
            assert refusal(disk(folder / "cut", format_), tmp_path).reason is Reason.IMAGE_TRUNCATED, share

    @pytest.mark.parametrize("format_", ImageFormat)
    def test_empty_files_are_truncated(self, folder, tmp_path, format_):
        (folder / "empty").write_bytes(b"")
        assert refusal(disk(folder / "empty", format_), tmp_path).reason is Reason.IMAGE_TRUNCATED

    @pytest.mark.parametrize("format_", [f for f in ImageFormat if f is not ImageFormat.RAW])
    def test_files_of_another_format_are_refused(self, folder, tmp_path, format_):
        (folder / "other").write_bytes(b"\x90" * 4096)
        error = refusal(disk(folder / "other", format_), tmp_path)
        assert error.reason is Reason.IMAGE_FORMAT_MISMATCH
        assert "format" in error.hint

    def test_a_raw_disk_that_begins_like_a_qcow2_stays_raw(self, raw, folder, tmp_path):
        qcow2 = convert(raw, folder / "a.qcow2", "qcow2")
        flat = flatten_disk(disk(qcow2, ImageFormat.RAW), tmp_path / "scratch")
        assert content(flat.node.options(), tmp_path)[:4] == b"QFI\xfb"

    def test_a_raw_disk_of_no_whole_sectors_is_truncated(self, folder, tmp_path):
        (folder / "a.raw").write_bytes(b"x" * 1000)
        assert refusal(disk(folder / "a.raw", ImageFormat.RAW), tmp_path).reason is Reason.IMAGE_TRUNCATED

    def patched(self, image, offset, data):
        with image.open("r+b") as file:
            file.seek(offset)
            file.write(data)
        return image

    @pytest.mark.parametrize(
        ("offset", "data", "reason"),
        [
            (8, struct.pack(">Q", 4096), Reason.IMAGE_REFERENCE_UNSAFE),
            (32, struct.pack(">I", 1), Reason.IMAGE_UNSUPPORTED),
            (72, struct.pack(">Q", 4), Reason.IMAGE_REFERENCE_UNSAFE),
            (72, struct.pack(">Q", 2), Reason.IMAGE_CORRUPT),
            (72, struct.pack(">Q", 1 << 40), Reason.IMAGE_UNSUPPORTED),
            (20, struct.pack(">I", 40), Reason.IMAGE_CORRUPT),
            (36, struct.pack(">I", 0), Reason.IMAGE_CORRUPT),
            (36, struct.pack(">I", 0xFFFFFFFF), Reason.IMAGE_CORRUPT),
            (4, struct.pack(">I", 9), Reason.IMAGE_UNSUPPORTED),
        ],
    )
    def test_hostile_qcow2_headers(self, raw, folder, tmp_path, offset, data, reason):
        image = self.patched(convert(raw, folder / "a.qcow2", "qcow2"), offset, data)
        assert refusal(disk(image, ImageFormat.QCOW2), tmp_path).reason is reason

    def test_a_real_backing_file_is_refused(self, raw, folder, tmp_path):
        convert(raw, folder / "base.qcow2", "qcow2")
        qemu_img("create", "-f", "qcow2", "-b", folder / "base.qcow2", "-F", "qcow2", folder / "top.qcow2")
        error = refusal(disk(folder / "top.qcow2", ImageFormat.QCOW2), tmp_path)
        assert error.reason is Reason.IMAGE_REFERENCE_UNSAFE
        assert "Flatten" in error.hint

    def test_a_real_data_file_is_refused(self, folder, tmp_path):
        qemu_img("create", "-f", "qcow2", "-o", f"data_file={folder / 'data'}", folder / "a.qcow2", "10M")
        error = refusal(disk(folder / "a.qcow2", ImageFormat.QCOW2), tmp_path)
        assert error.reason is Reason.IMAGE_REFERENCE_UNSAFE

    @pytest.mark.parametrize(
        ("offset", "data"),
        [
            (12, struct.pack("<Q", 0)),
            (20, struct.pack("<Q", 3)),
            (44, struct.pack("<I", 0)),
            (73, b"\n\n\r\n"),
            (12, struct.pack("<Q", 1 << 60)),
        ],
    )
    def test_hostile_vmdk_headers(self, raw, folder, tmp_path, offset, data):
        image = convert(raw, folder / "a.vmdk", "vmdk", subformat="monolithicSparse")
        error = refusal(disk(self.patched(image, offset, data)), tmp_path)
        assert error.reason in {Reason.IMAGE_CORRUPT, Reason.IMAGE_TRUNCATED}

    @pytest.mark.parametrize(("format_", "qemu"), [(ImageFormat.VHD, "vpc"), (ImageFormat.VDI, "vdi")])
    def test_differencing_images_are_refused(self, raw, folder, tmp_path, format_, qemu):
        image = convert(raw, folder / "a", qemu)
        if format_ is ImageFormat.VDI:
            self.patched(image, 76, struct.pack("<I", 4))
        else:
            data = bytearray(image.read_bytes()[-512:])
            data[60:64] = struct.pack(">I", 4)
            checksum = ~(sum(data) - sum(data[64:68])) & 0xFFFFFFFF
            data[64:68] = struct.pack(">I", checksum)
            self.patched(image, image.stat().st_size - 512, bytes(data))
        assert refusal(disk(image, format_), tmp_path).reason is Reason.IMAGE_UNSUPPORTED

    def test_a_vhdx_that_was_not_closed_is_refused(self, raw, folder, tmp_path):
        image = convert(raw, folder / "a.vhdx", "vhdx")
        for header in (64 * 1024, 128 * 1024):
            self.patched(image, header + 48, b"\x11" * 16)
        error = refusal(disk(image, ImageFormat.VHDX), tmp_path)
        assert error.reason is Reason.IMAGE_UNSUPPORTED
        assert "Mount-VHD" in error.hint

    def test_an_unreadable_file_says_so(self, folder, tmp_path):
        source = disk(make_raw(folder / "a.raw"), ImageFormat.RAW)
        (folder / "a.raw").unlink()
        assert refusal(source, tmp_path, SourceError).reason is Reason.SOURCE_NOT_FOUND


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
