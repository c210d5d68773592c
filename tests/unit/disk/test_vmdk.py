"""VMDKs: descriptors and what they may name, the kinds of extents that VMware's products write, chains of snapshots."""

import random
import re
import struct
import subprocess
from pathlib import Path

import pytest

from hyper2kvm_api.reasons import Reason
from lab.guests.streamvmdk import write_stream
from unit.disk.esxdisks import cowd, descriptor, se_extent, se_sparse, vmfs, vmfs_sparse
from unit.disk.examining import examined, graph, read, refusal
from unit.disk.images import SIZE, convert, digests, make_raw, snapshot

MIB = 1 << 20
SMALL = 24 * MIB


def pattern(seed, length):
    return random.Random(seed).randbytes(length)


def changed(data, writes):
    made = bytearray(data)
    for offset, content in writes.items():
        made[offset : offset + len(content)] = content
    return bytes(made)


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
    def test_extents_that_are_no_plain_names_are_refused(self, image, name):
        self.edit(image, '"web01-flat.vmdk"', f'"{name}"')
        error = refusal(image)
        assert error.reason is Reason.IMAGE_REFERENCE_UNSAFE
        assert name in error.message or repr(name) in error.message

    def test_a_link_to_a_device_beside_the_descriptor_is_refused(self, image, folder):
        self.edit(image, '"web01-flat.vmdk"', '"device"')
        (folder / "device").symlink_to("/dev/vda")
        assert refusal(image).reason is Reason.IMAGE_REFERENCE_UNSAFE

    def test_a_link_out_of_the_folder_is_refused(self, image, folder, tmp_path):
        (folder / "web01-flat.vmdk").rename(tmp_path / "elsewhere")
        (folder / "web01-flat.vmdk").symlink_to(tmp_path / "elsewhere")
        assert refusal(image).reason is Reason.IMAGE_REFERENCE_UNSAFE

    def test_a_missing_extent_is_named(self, image, folder):
        (folder / "web01-flat.vmdk").unlink()
        error = refusal(image)
        assert error.reason is Reason.EXTENT_MISSING
        assert "web01-flat.vmdk" in error.message

    def test_a_short_extent_is_truncated(self, image, folder):
        with (folder / "web01-flat.vmdk").open("r+b") as extent:
            extent.truncate(SIZE - 1)
        assert refusal(image).reason is Reason.IMAGE_TRUNCATED

    @pytest.mark.parametrize("kind", ["VMFSRDM", "VMFSRAW", "CUSTOM"])
    def test_extents_that_cannot_be_read_are_refused(self, image, kind):
        self.edit(image, " FLAT ", f" {kind} ")
        assert refusal(image).reason is Reason.IMAGE_UNSUPPORTED

    def test_an_extent_without_access_is_refused(self, image):
        self.edit(image, "RW ", "NOACCESS ")
        assert refusal(image).reason is Reason.IMAGE_UNSUPPORTED

    def test_an_extent_that_may_only_be_read_is_read(self, image, raw, tmp_path):
        """QEMU passes over every line that is not RW; the descriptor that it gets is ours."""
        self.edit(image, "RW ", "RDONLY ")
        assert read(image, tmp_path) == raw.read_bytes()

    @pytest.mark.parametrize("line", ["something else", f'RW {"9" * 5000} FLAT "x" 0'])
    def test_a_line_that_is_not_understood_is_refused(self, image, line):
        self.edit(image, "version=1", f"version=1\n{line}")
        assert refusal(image).reason is Reason.IMAGE_CORRUPT

    def test_what_qemu_sees_names_only_links_of_ours(self, image, tmp_path):
        text = Path(graph(image, tmp_path).node.file.filename).read_text()
        assert text.count('"extent-000"') == 1
        assert "web01-flat" not in text

    def test_the_world_wide_name_is_read(self, image):
        image.write_text(
            image.read_text().rstrip("\0") + 'ddb.uuid = "60 00 C2 9a 01 23 45 67-89 ab cd ef 01 23 45 67"\n'
        )
        assert examined(image).wwn == "6000c29a0123456789abcdef01234567"

    def test_a_disk_larger_than_any_is_refused(self, folder):
        """Extents of zeros need no bytes: a descriptor may claim any size."""
        image = descriptor(folder / "a.vmdk", "vmfs", [f"RW {1 << 45} ZERO"])
        error = refusal(image)
        assert error.reason is Reason.IMAGE_UNSUPPORTED
        assert str(64 << 40) in error.message


class TestZeros:
    def test_an_extent_of_zeros_keeps_what_comes_after_it_in_its_place(self, folder, tmp_path):
        """QEMU passes over such lines: all that follows would move."""
        first, last = pattern(1, MIB), pattern(2, MIB)
        (folder / "first").write_bytes(first)
        (folder / "last").write_bytes(last)
        lines = ['RW 2048 FLAT "first" 0', "RW 4096 ZERO", 'RW 2048 FLAT "last" 0', "RW 1024 ZERO"]
        image = descriptor(folder / "a.vmdk", "twoGbMaxExtentFlat", lines)
        before = digests(folder)
        assert read(image, tmp_path) == first + bytes(2 * MIB) + last + bytes(MIB // 2)
        assert examined(image).capacity == 4 * MIB + MIB // 2
        assert digests(folder) == before

    def test_zeros_of_a_snapshot_hide_its_parent(self, folder, tmp_path):
        base = vmfs(folder / "base.vmdk", pattern(3, MIB))
        (folder / "new").write_bytes(pattern(4, MIB // 2))
        lines = ["RW 1024 ZERO", 'RW 1024 FLAT "new" 0']
        top = descriptor(folder / "top.vmdk", "vmfs", lines, cid=5, parent=base.name, parent_cid=0x1F2E3D4C)
        assert read(top, tmp_path) == bytes(MIB // 2) + pattern(4, MIB // 2)


class TestEsx:
    """What ESXi keeps on VMFS. The extents are hand-made, and read by QEMU."""

    @pytest.fixture
    def data(self):
        return pattern(5, SMALL)

    def test_a_plain_disk_is_read(self, data, folder, tmp_path):
        assert read(vmfs(folder / "web01.vmdk", data), tmp_path) == data

    def test_a_flat_extent_may_begin_inside_of_its_file(self, data, folder, tmp_path):
        vmfs(folder / "web01.vmdk", data)
        image = descriptor(folder / "part.vmdk", "vmfs", ['RW 2048 VMFS "web01-flat.vmdk" 16'])
        assert read(image, tmp_path) == data[16 * 512 :][:MIB]

    @pytest.mark.parametrize("kind", [vmfs_sparse, se_sparse])
    def test_a_chain_of_snapshots_is_read_through(self, data, folder, tmp_path, kind):
        vmfs(folder / "web01.vmdk", data)
        first = {0: pattern(6, 8192), 17 * MIB: pattern(7, MIB)}
        second = {4096: pattern(8, 4096), SMALL - 4096: pattern(9, 4096)}
        kind(folder / "web01-000001.vmdk", SMALL, first, parent="web01.vmdk", cid=7, parent_cid=0x1F2E3D4C)
        top = kind(folder / "web01-000002.vmdk", SMALL, second, parent="web01-000001.vmdk", cid=8, parent_cid=7)
        before = digests(folder)
        assert read(top, tmp_path) == changed(changed(data, first), second)
        assert digests(folder) == before

    def test_grains_of_zeros_of_a_space_efficient_snapshot_hide_its_parent(self, data, folder, tmp_path):
        vmfs(folder / "web01.vmdk", data)
        top = se_sparse(
            folder / "top.vmdk", SMALL, {}, zeros=[0, 4097], parent="web01.vmdk", cid=7, parent_cid=0x1F2E3D4C
        )
        expected = changed(data, {0: bytes(4096), 4097 * 4096: bytes(4096)})
        assert read(top, tmp_path) == expected

    def test_a_space_efficient_snapshot_of_a_changed_parent_is_refused(self, data, folder):
        vmfs(folder / "web01.vmdk", data)
        top = se_sparse(folder / "top.vmdk", SMALL, {}, parent="web01.vmdk", cid=7, parent_cid=0xDEADBEEF)
        assert refusal(top).reason is Reason.PARENT_CHANGED

    @pytest.mark.parametrize("extent", [cowd, se_extent])
    def test_a_snapshot_that_was_cut_is_truncated(self, folder, extent):
        name = {cowd: "VMFSSPARSE", se_extent: "SESPARSE"}[extent]
        image = descriptor(folder / "a.vmdk", "vmfsSparse", [f'RW {SMALL // 512} {name} "delta"'])
        whole = extent(SMALL, {MIB: pattern(1, 8192)})
        for cut in (1, 512, 4095, 4096, 8192, len(whole) - 100):
            (folder / "delta").write_bytes(whole[:-cut])
            assert refusal(image).reason is Reason.IMAGE_TRUNCATED, cut

    def test_a_journal_that_was_not_played_back_is_refused_with_what_to_do(self, folder):
        image = descriptor(folder / "a.vmdk", "seSparse", [f'RW {SMALL // 512} SESPARSE "delta"'])
        (folder / "delta").write_bytes(se_extent(SMALL, {0: bytes(4096)}, replay=1))
        error = refusal(image)
        assert error.reason is Reason.IMAGE_UNSUPPORTED
        assert "shut down" in error.hint

    @pytest.mark.parametrize(
        ("offset", "value", "reason"),
        [
            (0, 0xCAFED00D, Reason.IMAGE_FORMAT_MISMATCH),
            (8, 0x300000001, Reason.IMAGE_UNSUPPORTED),
            (16, 0, Reason.IMAGE_CORRUPT),
            (16, 1 << 60, Reason.IMAGE_CORRUPT),
            (24, 16, Reason.IMAGE_UNSUPPORTED),
            (10 * 8, 1 << 50, Reason.IMAGE_TRUNCATED),
            (16 * 8, 1 << 50, Reason.IMAGE_TRUNCATED),
            (512, 0, Reason.IMAGE_CORRUPT),
            (4 * 512, 0x2000_0000_0000_0000, Reason.IMAGE_CORRUPT),
            (4 * 512 + 8, 0x1000_0000_0000_0000, Reason.IMAGE_CORRUPT),
            (5 * 512, 0x4000_0000_0000_0000, Reason.IMAGE_CORRUPT),
            (5 * 512, 5, Reason.IMAGE_CORRUPT),
        ],
    )
    def test_hostile_space_efficient_extents(self, folder, offset, value, reason):
        image = descriptor(folder / "a.vmdk", "seSparse", [f'RW {SMALL // 512} SESPARSE "delta"'])
        whole = bytearray(se_extent(SMALL, {0: bytes(4096)}))
        whole[offset : offset + 8] = struct.pack("<Q", value)
        (folder / "delta").write_bytes(whole)
        assert refusal(image).reason is reason

    @pytest.mark.parametrize("extent", [cowd, se_extent])
    def test_an_extent_that_is_larger_than_stated_would_move_the_next_one(self, folder, tmp_path, extent):
        name = {cowd: "VMFSSPARSE", se_extent: "SESPARSE"}[extent]
        (folder / "one").write_bytes(extent(SMALL + 8192, {0: pattern(1, 4096)}))
        (folder / "two").write_bytes(extent(SMALL, {0: pattern(2, 4096)}))
        lines = [f'RW {SMALL // 512} {name} "one"', f'RW {SMALL // 512} {name} "two"']
        assert refusal(descriptor(folder / "a.vmdk", "vmfsSparse", lines)).reason is Reason.IMAGE_CORRUPT
        found = read(descriptor(folder / "b.vmdk", "vmfsSparse", lines[::-1]), tmp_path)
        assert len(found) == 2 * SMALL
        assert found[SMALL : SMALL + 4096] == pattern(1, 4096)


class TestStreams:
    """Stream-optimised disks as VMware exports them: directory and footer at the end, an extent's name that is a label."""

    @pytest.fixture
    def stream(self, raw, folder):
        write_stream(raw, folder / "web01-disk1.vmdk")
        return folder / "web01-disk1.vmdk"

    def test_a_stream_is_read_as_the_disk(self, stream, raw, tmp_path):
        assert b'RDONLY 81920 SPARSE "call-me-stream.vmdk"' in stream.read_bytes()[:4096]
        assert read(stream, tmp_path) == raw.read_bytes()

    @pytest.mark.parametrize("label", ["generated-stream.vmdk", "/vmfs/volumes/ds1/web01/web01.vmdk", "../x", ""])
    def test_the_name_of_its_extent_is_a_label_that_nobody_opens(self, stream, raw, tmp_path, label):
        content = stream.read_bytes()
        old = b'"call-me-stream.vmdk"'
        new = f'"{label}"'.encode()
        start, end = content[:512], content[512 : 21 * 512].replace(old, new)[: 20 * 512].ljust(20 * 512, b"\0")
        stream.write_bytes(start + end + content[21 * 512 :])
        assert read(stream, tmp_path) == raw.read_bytes()

    def test_a_disk_of_no_whole_grains_has_the_size_that_its_descriptor_states(self, folder, tmp_path):
        """The header's capacity is rounded up to grains by some exporters."""
        raw = make_raw(tmp_path / "odd.raw", size=5 * MIB + 512)
        write_stream(raw, folder / "a.vmdk")
        content = bytearray((folder / "a.vmdk").read_bytes())
        rounded = struct.pack("<Q", -(-raw.stat().st_size // 65536) * 128)
        for header in (0, len(content) - 1024):
            content[header + 12 : header + 20] = rounded
        (folder / "a.vmdk").write_bytes(content)
        assert examined(folder / "a.vmdk").capacity == 5 * MIB + 512
        assert read(folder / "a.vmdk", tmp_path) == raw.read_bytes()

    def test_a_descriptor_that_states_more_than_the_stream_holds_is_refused(self, stream):
        content = stream.read_bytes()
        stream.write_bytes(content[:512] + content[512:4096].replace(b"RDONLY 81920", b"RDONLY 81921") + content[4096:])
        assert refusal(stream).reason is Reason.IMAGE_CORRUPT

    @pytest.mark.parametrize("cut", [1, 511, 512, 1024, 1536, 2048, 65536])
    def test_a_stream_without_its_end_is_truncated(self, stream, cut):
        stream.write_bytes(stream.read_bytes()[:-cut])
        assert refusal(stream).reason is Reason.IMAGE_TRUNCATED

    def test_qemu_makes_the_same_of_it(self, stream, raw):
        subprocess.run(["qemu-img", "compare", "-q", "-f", "vmdk", "-F", "raw", stream, raw], check=True)


class TestChains:
    @pytest.fixture
    def chain(self, raw, folder):
        base = convert(raw, folder / "web01.vmdk", "vmdk", subformat="monolithicFlat")
        return base, snapshot(base, folder / "web01-000001.vmdk")

    def test_a_parent_that_was_written_afterwards_is_refused(self, chain):
        base, top = chain
        base.write_text(re.sub(r"\nCID=.*", "\nCID=deadbeef", base.read_text()))
        error = refusal(top)
        assert error.reason is Reason.PARENT_CHANGED
        assert "deadbeef" in error.message
        assert "consolidate" in error.hint

    def test_a_missing_parent_is_named(self, chain):
        base, top = chain
        base.unlink()
        error = refusal(top)
        assert error.reason is Reason.PARENT_MISSING
        assert "web01.vmdk" in error.message

    def test_a_chain_that_leads_back_to_itself_is_refused(self, folder):
        (folder / "x").write_bytes(b"\0" * 4096)
        for name, parent in (("a", "b"), ("b", "a")):
            descriptor(folder / f"{name}.vmdk", "vmfs", ['RW 8 VMFS "x"'], cid=1, parent=f"{parent}.vmdk", parent_cid=1)
        error = refusal(folder / "a.vmdk")
        assert error.reason is Reason.IMAGE_CORRUPT
        assert "back to itself" in error.message

    def test_a_snapshot_alone_in_an_archive_is_refused(self, chain):
        _, top = chain
        assert refusal(top, siblings=False).reason is Reason.PARENT_MISSING
