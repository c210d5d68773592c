"""Images that are cut, damaged, hostile, or not what they say: refused before anything opens them, and soon."""

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from hyper2kvm_api.errors import ImageError, SourceError
from hyper2kvm_api.migration import ImageFormat
from hyper2kvm_api.reasons import Reason
from lab.guests.streamvmdk import write_stream
from unit.disk.examining import examined, read, refusal
from unit.disk.images import SIZE, convert, qemu_img, write

MIB = 1 << 20
CLUSTER = 65536
IMAGES = [
    (ImageFormat.QCOW2, "qcow2", {}),
    (ImageFormat.QCOW2, "qcow2", {"cluster_size": "4k"}),
    (ImageFormat.QCOW2, "qcow2", {"extended_l2": "on", "cluster_size": "128k"}),
    (ImageFormat.VMDK, "vmdk", {"subformat": "monolithicSparse"}),
    (ImageFormat.VMDK, "vmdk", {"subformat": "streamOptimized"}),
    (ImageFormat.VHD, "vpc", {"force_size": "on"}),
    (ImageFormat.VHD, "vpc", {"subformat": "fixed", "force_size": "on"}),
    (ImageFormat.VHDX, "vhdx", {}),
    (ImageFormat.VHDX, "vhdx", {"subformat": "fixed"}),
    (ImageFormat.VDI, "vdi", {}),
]
formats = pytest.mark.parametrize(("format_", "qemu", "options"), IMAGES)


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """Data everywhere, up to the end."""
    made = tmp_path_factory.mktemp("full") / "full.raw"
    made.write_bytes(os.urandom(4 * MIB))
    return made


def cut(image, length):
    """A copy of an image without its last bytes."""
    made = image.with_name("cut")
    made.write_bytes(image.read_bytes()[:-length])
    return made


def lacking(options):
    """What a cut image is said to be. A fixed VHD has nothing but its end to be known by."""
    fixed_vhd = options == {"subformat": "fixed", "force_size": "on"}
    return Reason.IMAGE_FORMAT_MISMATCH if fixed_vhd else Reason.IMAGE_TRUNCATED


def content_or_reason(image, folder, format_):
    """What is read of an image, or the reason for which it is refused."""
    try:
        return read(image, folder, format_)
    except ImageError as error:
        return error.reason


def patched(image, offset, data):
    with image.open("r+b") as file:
        file.seek(offset)
        file.write(data)
    return image


class TestTruncation:
    @formats
    @pytest.mark.parametrize("share", [0.9, 0.5, 0.1])
    def test_images_that_lack_much_are_found(self, raw, folder, format_, qemu, options, share):
        image = convert(raw, folder / "image", qemu, **options)
        length = int(image.stat().st_size * (1 - share)) // 512 * 512
        assert refusal(cut(image, length), format_).reason is lacking(options)

    @formats
    @pytest.mark.parametrize("length", [1, 512, CLUSTER - 1])
    def test_images_that_lack_little_are_found(self, full, tmp_path, format_, qemu, options, length):
        image = convert(full, tmp_path / "image", qemu, **options)
        if options.get("subformat") == "streamOptimized" and length == 1:
            # qemu-img fills a grain up to a sector: the last byte is no data.
            assert read(cut(image, length), tmp_path, format_) == full.read_bytes()
        else:
            assert refusal(cut(image, length), format_).reason is lacking(options)

    @formats
    def test_room_that_no_byte_of_the_disk_is_in_may_lack(self, tmp_path, format_, qemu, options):
        """The last cluster of a disk of no whole clusters: its end counts for nothing, and all before it does."""
        odd = tmp_path / "odd.raw"
        odd.write_bytes(os.urandom(3 * MIB + 7 * 512))
        image = convert(odd, tmp_path / "image", qemu, **options)
        for length in (1, 7 * 512, CLUSTER - 7 * 512, CLUSTER - 7 * 512 + 1, CLUSTER):
            kept = content_or_reason(cut(image, length), tmp_path, format_)
            assert kept in {odd.read_bytes(), lacking(options)}, length

    @pytest.mark.parametrize("type_", ["zlib", "zstd"])
    @pytest.mark.parametrize("length", [20, 100, 511, 512, 4096])
    def test_the_last_compressed_cluster_must_unpack(self, tmp_path, type_, length):
        """The format lets a file end within a compressed cluster's last sector: only unpacking tells."""
        text = tmp_path / "text.raw"
        text.write_bytes(b"text that is easily made smaller\n" * (4 * MIB // 33) + os.urandom(30_000) + bytes(4 * MIB))
        os.truncate(text, 6 * MIB)
        image = tmp_path / "a.qcow2"
        options = ["-o", f"compression_type={type_}"]
        qemu_img("convert", "-f", "raw", "-O", "qcow2", "-c", *options, text, image)
        image.write_bytes(image.read_bytes().rstrip(b"\0"))
        assert image.stat().st_size % 512 != 0
        assert read(image, tmp_path, ImageFormat.QCOW2) == text.read_bytes()
        error = refusal(cut(image, length), ImageFormat.QCOW2)
        assert error.reason is Reason.IMAGE_TRUNCATED
        assert "compressed cluster" in error.message

    def test_a_cluster_that_reads_as_zeros_need_not_be_there(self, folder, tmp_path):
        image = folder / "a.qcow2"
        qemu_img("create", "-f", "qcow2", image, SIZE)
        write(image, "qcow2", 0, CLUSTER)
        command = f"write -z {0} {CLUSTER}"
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", command, image], check=True, capture_output=True)
        assert read(cut(image, 512), tmp_path, ImageFormat.QCOW2) == bytes(SIZE)

    @pytest.mark.parametrize("length", [1, 512, CLUSTER - 1])
    def test_flat_extents_and_streams_are_whole_too(self, full, folder, length):
        flat = convert(full, folder / "web01.vmdk", "vmdk", subformat="monolithicFlat")
        extent = folder / "web01-flat.vmdk"
        extent.write_bytes(extent.read_bytes()[:-length])
        assert refusal(flat).reason is Reason.IMAGE_TRUNCATED
        write_stream(full, folder / "stream.vmdk")
        assert refusal(cut(folder / "stream.vmdk", length)).reason is Reason.IMAGE_TRUNCATED

    @pytest.mark.parametrize("format_", ImageFormat)
    def test_empty_files_are_truncated(self, folder, format_):
        (folder / "empty").write_bytes(b"")
        assert refusal(folder / "empty", format_).reason is Reason.IMAGE_TRUNCATED

    @pytest.mark.parametrize("length", [1000, 1, 513])
    def test_a_raw_disk_of_no_whole_sectors_is_truncated(self, folder, length):
        (folder / "a.raw").write_bytes(b"x" * length)
        assert refusal(folder / "a.raw", ImageFormat.RAW).reason is Reason.IMAGE_TRUNCATED


class TestFormats:
    @pytest.mark.parametrize("format_", [f for f in ImageFormat if f is not ImageFormat.RAW])
    def test_files_of_another_format_are_refused(self, folder, format_):
        (folder / "other").write_bytes(b"\x90" * 4096)
        error = refusal(folder / "other", format_)
        assert error.reason is Reason.IMAGE_FORMAT_MISMATCH
        assert "format" in error.hint

    def test_a_raw_disk_that_begins_like_a_qcow2_stays_raw(self, raw, folder, tmp_path):
        qcow2 = convert(raw, folder / "a.qcow2", "qcow2")
        assert read(qcow2, tmp_path, ImageFormat.RAW)[:4] == b"QFI\xfb"

    def test_an_image_that_is_gone_says_so(self, folder):
        error = refusal(folder / "a.raw", ImageFormat.RAW, kind=SourceError, length=512)
        assert error.reason is Reason.SOURCE_NOT_FOUND

    @pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/etc/passwd"), Path.mkdir])
    def test_what_took_the_place_of_an_image_is_neither_followed_nor_waited_for(self, folder, make):
        make(folder / "a.raw")
        assert refusal(folder / "a.raw", ImageFormat.RAW, length=512).reason is Reason.IMAGE_REFERENCE_UNSAFE


class TestHeaders:
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
            (24, struct.pack(">Q", 1 << 50), Reason.IMAGE_CORRUPT),
            (40, struct.pack(">Q", 1 << 50), Reason.IMAGE_TRUNCATED),
            (4, struct.pack(">I", 9), Reason.IMAGE_UNSUPPORTED),
        ],
    )
    def test_hostile_qcow2_headers(self, raw, folder, offset, data, reason):
        image = patched(convert(raw, folder / "a.qcow2", "qcow2"), offset, data)
        assert refusal(image, ImageFormat.QCOW2).reason is reason

    def test_a_real_backing_file_is_refused(self, raw, folder):
        convert(raw, folder / "base.qcow2", "qcow2")
        qemu_img("create", "-f", "qcow2", "-b", folder / "base.qcow2", "-F", "qcow2", folder / "top.qcow2")
        error = refusal(folder / "top.qcow2", ImageFormat.QCOW2)
        assert error.reason is Reason.IMAGE_REFERENCE_UNSAFE
        assert "Flatten" in error.hint

    def test_a_real_data_file_is_refused(self, folder):
        qemu_img("create", "-f", "qcow2", "-o", f"data_file={folder / 'data'}", folder / "a.qcow2", "10M")
        assert refusal(folder / "a.qcow2", ImageFormat.QCOW2).reason is Reason.IMAGE_REFERENCE_UNSAFE

    @pytest.mark.parametrize(
        ("offset", "data"),
        [
            (12, struct.pack("<Q", 0)),
            (20, struct.pack("<Q", 3)),
            (44, struct.pack("<I", 0)),
            (44, struct.pack("<I", 1024)),
            (73, b"\n\n\r\n"),
            (12, struct.pack("<Q", 1 << 60)),
        ],
    )
    def test_hostile_vmdk_headers(self, raw, folder, offset, data):
        image = convert(raw, folder / "a.vmdk", "vmdk", subformat="monolithicSparse")
        error = refusal(patched(image, offset, data))
        assert error.reason in {Reason.IMAGE_CORRUPT, Reason.IMAGE_TRUNCATED}

    @pytest.mark.parametrize(("format_", "qemu"), [(ImageFormat.VHD, "vpc"), (ImageFormat.VDI, "vdi")])
    def test_differencing_images_are_refused(self, raw, folder, format_, qemu):
        image = convert(raw, folder / "a", qemu)
        if format_ is ImageFormat.VDI:
            patched(image, 76, struct.pack("<I", 4))
        else:
            data = bytearray(image.read_bytes()[-512:])
            data[60:64] = struct.pack(">I", 4)
            checksum = ~(sum(data) - sum(data[64:68])) & 0xFFFFFFFF
            data[64:68] = struct.pack(">I", checksum)
            patched(image, image.stat().st_size - 512, bytes(data))
        assert refusal(image, format_).reason is Reason.IMAGE_UNSUPPORTED

    def test_a_vhdx_that_was_not_closed_is_refused(self, raw, folder):
        image = convert(raw, folder / "a.vhdx", "vhdx")
        for header in (64 * 1024, 128 * 1024):
            patched(image, header + 48, b"\x11" * 16)
        error = refusal(image, ImageFormat.VHDX)
        assert error.reason is Reason.IMAGE_UNSUPPORTED
        assert "Mount-VHD" in error.hint


class TestBounds:
    """What a header claims costs no more than what the file holds."""

    def test_a_table_that_many_entries_name_is_read_once(self, folder):
        """A disk of 32 TiB whose 65,536 tables are one and the same, in a file of 704 KiB."""
        image = folder / "a.qcow2"
        qemu_img("create", "-f", "qcow2", image, "32T")
        write(image, "qcow2", 0, 512)
        content = bytearray(image.read_bytes())
        (at,) = struct.unpack_from(">Q", content, 40)
        content[at : at + 8 * 65536] = content[at : at + 8] * 65536
        image.write_bytes(content)
        error = refusal(image, ImageFormat.QCOW2)
        assert error.reason is Reason.IMAGE_CORRUPT
        assert "name the L2 table" in error.message

    def test_compressed_clusters_at_the_end_of_the_file_are_not_unpacked_without_end(self, tmp_path):
        """Each entry names another byte near the end, from which on a cluster's worth of zeros unpacks."""
        image = tmp_path / "a.qcow2"
        qemu_img("create", "-f", "qcow2", image, SIZE)
        write(image, "qcow2", 0, 512)
        content = bytearray(image.read_bytes())
        (at,) = struct.unpack_from(">Q", content, 40)
        table = struct.unpack_from(">Q", content, at)[0] & ((1 << 56) - 512)
        packed = zlib.compressobj(9, zlib.DEFLATED, -12)
        cluster = packed.compress(bytes(CLUSTER)) + packed.flush()
        # Empty stored blocks before the data: deflate may begin at each of them (RFC 1951, section 3.2.4).
        end = len(content)
        content += b"\0\0\0\xff\xff" * 70 + cluster
        entries = [1 << 62 | (end + 5 * number) for number in range(70)]
        content[table : table + 8 * 70] = struct.pack(">70Q", *entries)
        image.write_bytes(content)
        assert len(content) - end < 512
        error = refusal(image, ImageFormat.QCOW2)
        assert error.reason is Reason.IMAGE_CORRUPT
        assert "last sector" in error.message

    def test_tables_that_lie_over_each_other_are_refused(self, folder):
        image = folder / "a.qcow2"
        qemu_img("create", "-f", "qcow2", image, "2G")
        write(image, "qcow2", 0, 512)
        write(image, "qcow2", 1 << 30, 512)
        content = bytearray(image.read_bytes())
        (at,) = struct.unpack_from(">Q", content, 40)
        (first,) = struct.unpack_from(">Q", content, at)
        struct.pack_into(">Q", content, at + 16, first + 512)
        image.write_bytes(content)
        assert refusal(image, ImageFormat.QCOW2).reason is Reason.IMAGE_CORRUPT

    def test_grain_tables_that_are_one_and_the_same_are_refused(self, raw, folder):
        image = convert(raw, folder / "a.vmdk", "vmdk", subformat="monolithicSparse")
        content = bytearray(image.read_bytes())
        (directory,) = struct.unpack_from("<Q", content, 56)
        content[directory * 512 + 4 : directory * 512 + 8] = content[directory * 512 : directory * 512 + 4]
        image.write_bytes(content)
        assert refusal(image).reason is Reason.IMAGE_CORRUPT

    @pytest.mark.parametrize("size", ["65T", "1P", "32P"])
    def test_a_disk_larger_than_any_is_refused(self, folder, size):
        image = folder / "a.qcow2"
        qemu_img("create", "-f", "qcow2", "-o", "cluster_size=2M", image, size)
        error = refusal(image, ImageFormat.QCOW2)
        assert error.reason is Reason.IMAGE_UNSUPPORTED
        assert str(64 << 40) in error.message

    def test_more_tables_than_memory_is_for_are_refused(self, folder):
        image = folder / "a.qcow2"
        qemu_img("create", "-f", "qcow2", "-o", "cluster_size=4k", image, "3T")
        error = refusal(image, ImageFormat.QCOW2)
        assert error.reason is Reason.IMAGE_UNSUPPORTED
        assert "cluster" in error.message

    def test_a_disk_of_the_largest_size_is_taken(self, folder):
        image = folder / "a.qcow2"
        qemu_img("create", "-f", "qcow2", image, "64T")
        assert examined(image, ImageFormat.QCOW2).capacity == 64 << 40

    @pytest.mark.parametrize(
        ("format_", "qemu", "size"),
        [(ImageFormat.VDI, "vdi", "8T"), (ImageFormat.VHDX, "vhdx", "60T"), (ImageFormat.QCOW2, "qcow2", "60T")],
    )
    def test_memory_does_not_grow_with_the_disk(self, folder, format_, qemu, size):
        """An empty 8 TiB VDI has a map of 32 MiB."""
        image = folder / "a"
        qemu_img("create", "-f", qemu, image, size)
        program = (
            "import sys; from unit.disk.examining import examined; from hyper2kvm_api.migration import ImageFormat\n"
            "before = int(next(l for l in open('/proc/self/status') if l.startswith('VmHWM:')).split()[1])\n"
            f"examined({str(image)!r}, ImageFormat.{format_.name})\n"
            "after = int(next(l for l in open('/proc/self/status') if l.startswith('VmHWM:')).split()[1])\n"
            "print(after - before)"
        )
        tests = str(Path(__file__).parents[2])
        command = [sys.executable, "-c", program]
        ended = subprocess.run(
            command, check=True, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": tests}
        )
        assert int(ended.stdout) < 16 * 1024  # KiB (proc(5))
