import io
import os
import tarfile
import threading

import pytest

from hyper2kvm.disk.graph import flatten_disk
from hyper2kvm.events import Events
from hyper2kvm.sources.ova import Ova
from hyper2kvm.workers import StoppedError
from hyper2kvm_api.errors import ImageError
from hyper2kvm_api.event import EventType
from hyper2kvm_api.migration import ImageFormat
from hyper2kvm_api.reasons import Reason
from unit.disk.images import digest
from unit.sources.exports import SIZE, disk_image, manifest, ova, ovf_text, pack
from unit.sources.refusing import fetched, refusal


def entry(name, content=b"content", **fields):
    made = tarfile.TarInfo(name)
    made.size = len(content)
    for field, value in fields.items():
        setattr(made, field, value)
    return made, io.BytesIO(content)


def with_entries(path, *entries, format_=tarfile.PAX_FORMAT):
    """The archive with further entries at its end."""
    with tarfile.open(path, "a", format=format_) as archive:
        for made, content in entries:
            archive.addfile(made, content if made.size else None)
    return path


def test_the_machine_and_its_disks_are_read_in_place(tmp_path):
    path = ova(tmp_path)
    before = digest(path)
    found = fetched(path)
    (disk,) = found.disks
    assert (found.machine.name, found.machine.disks[0].capacity, disk.format) == ("web01", SIZE, ImageFormat.VMDK)
    assert disk.files == (str(path),)
    with path.open("rb") as archive:
        archive.seek(disk.location.offset)
        assert archive.read(4) == b"KDMV"
    assert flatten_disk(disk, tmp_path / "scratch").capacity == SIZE
    assert [part.name for part in found.parts] == [str(path)]
    assert digest(path) == before
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.suffix != ".raw") == ["parts", "web01.ova"]


def test_every_file_is_compared_with_the_manifest(tmp_path):
    assert fetched(ova(tmp_path)).verified == ("web01.ovf", "web01-disk1.vmdk")


@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "SHA512"])
def test_the_manifest_says_with_which_algorithm(tmp_path, algorithm):
    parts = tmp_path / "parts"
    parts.mkdir()
    disk = disk_image(parts)
    (parts / "web01.ovf").write_text(ovf_text({disk.name: disk.stat().st_size}))
    (parts / "web01.mf").write_text(manifest([parts / "web01.ovf", disk], algorithm))
    path = pack(tmp_path / "web01.ova", [parts / "web01.ovf", parts / "web01.mf", disk])
    assert len(fetched(path).verified) == 2


def test_an_archive_without_manifest_is_read(tmp_path):
    assert fetched(ova(tmp_path, leave_out=("web01.mf",))).verified == ()


def test_disks_are_in_the_order_in_which_the_guests_kernel_numbers_them(tmp_path):
    found = fetched(ova(tmp_path, places=("nvme0:0", "ide0:0", "sata0:0", "scsi1:0", "scsi0:3")))
    assert [disk.id for disk in found.disks] == ["scsi0:3", "scsi1:0", "sata0:0", "ide0:0", "nvme0:0"]
    assert [disk.file for disk in found.machine.disks] == [f"web01-disk{n}.vmdk" for n in (5, 4, 3, 2, 1)]


def test_a_wrong_digest_is_refused(tmp_path):
    error = refusal(ova(tmp_path, digests={"web01-disk1.vmdk": "0" * 64}))
    assert error.reason is Reason.MANIFEST_DIGEST_MISMATCH
    assert error.file == "web01-disk1.vmdk"
    assert "0000000000000000…" in error.message
    assert "compare the digests" in error.hint


def test_one_changed_byte_is_found(tmp_path):
    path = ova(tmp_path)
    region = fetched(path).disks[0].location
    with path.open("r+b") as archive:
        archive.seek(region.offset + region.length - 100_000)
        byte = archive.read(1)
        archive.seek(-1, io.SEEK_CUR)
        archive.write(bytes([byte[0] ^ 1]))
    assert refusal(path).reason is Reason.MANIFEST_DIGEST_MISMATCH


def test_a_manifest_that_names_a_missing_file_is_refused(tmp_path):
    error = refusal(ova(tmp_path, digests={"web01-disk2.vmdk": "0" * 64}))
    assert error.reason is Reason.ARCHIVE_INCOMPLETE
    assert "web01-disk2.vmdk" in error.message


@pytest.mark.parametrize("left_out", ["web01.ovf", "web01-disk1.vmdk"])
def test_a_manifest_without_a_file_of_the_machine_is_refused(tmp_path, left_out):
    """Whoever changes a file could leave it out."""
    parts = tmp_path / "parts"
    parts.mkdir()
    disk = disk_image(parts)
    (parts / "web01.ovf").write_text(ovf_text({disk.name: disk.stat().st_size}))
    (parts / "web01.mf").write_text(manifest([path for path in (parts / "web01.ovf", disk) if path.name != left_out]))
    error = refusal(pack(tmp_path / "web01.ova", [parts / "web01.ovf", parts / "web01.mf", disk]))
    assert error.reason is Reason.ARCHIVE_INCOMPLETE
    assert f"web01.mf has no digest of {left_out}" in error.message
    assert "remove the manifest" in error.hint


def test_comparing_shows_its_progress(tmp_path):
    seen = []
    path = ova(tmp_path)
    fetched(path, events=Events([seen.append]))
    progress = [event for event in seen if event.type is EventType.PROGRESS]
    assert progress[-1].done == progress[-1].total > (tmp_path / "parts/web01-disk1.vmdk").stat().st_size
    assert {event.file for event in progress} == {"web01.mf"}


def test_comparing_ends_when_it_is_stopped(tmp_path):
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        fetched(ova(tmp_path), stop=stop)


def test_an_ova_that_is_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "web01.ova")
    with pytest.raises(ImageError) as caught:
        Ova(tmp_path / "web01.ova").fetch(Events(), threading.Event())
    assert caught.value.reason is Reason.IMAGE_REFERENCE_UNSAFE


def test_a_manifest_that_is_not_understood_is_refused(tmp_path):
    error = refusal(ova(tmp_path, digests={"web01-disk1.vmdk": "not hexadecimal"}))
    assert error.reason is Reason.MACHINE_DESCRIPTION_INVALID
    assert "web01.mf" in error.message


@pytest.mark.parametrize("name", ["../web01.ovf", "/etc/passwd", "sub/disk.vmdk", "..", ".", "a\\b", "line\nbreak"])
def test_an_entry_that_points_out_of_the_folder_is_refused(tmp_path, name):
    error = refusal(with_entries(ova(tmp_path), entry(name)))
    assert error.reason is Reason.ARCHIVE_UNSAFE
    assert "no plain name" in error.message
    assert "Do not use this archive" in error.hint


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE],
    ids=["symlink", "hard link", "character device", "block device", "fifo", "folder"],
)
def test_an_entry_that_is_no_plain_file_is_refused(tmp_path, kind):
    error = refusal(with_entries(ova(tmp_path), entry("extra", b"", type=kind, linkname="/etc/passwd")))
    assert error.reason is Reason.ARCHIVE_UNSAFE
    assert "'extra' is no plain file" in error.message
    assert "plain files" in error.hint


def test_an_entry_that_stands_twice_is_refused(tmp_path):
    error = refusal(with_entries(ova(tmp_path), entry("web01.ovf")))
    assert error.reason is Reason.ARCHIVE_UNSAFE
    assert "twice" in error.message


def test_thousands_of_entries_are_refused(tmp_path):
    error = refusal(with_entries(ova(tmp_path), *(entry(f"file{n}", b"") for n in range(1100))))
    assert error.reason is Reason.ARCHIVE_UNSAFE
    assert "too many" in error.message


def test_a_disk_that_the_descriptor_does_not_list_is_refused(tmp_path):
    error = refusal(with_entries(ova(tmp_path), entry("extra.vmdk")))
    assert error.reason is Reason.ARCHIVE_INCOMPLETE
    assert "does not list the disk extra.vmdk" in error.message
    assert "Copy or export the machine again" in error.hint


def test_a_file_that_is_no_disk_may_stand_beside(tmp_path):
    assert fetched(with_entries(ova(tmp_path), entry("web01.nvram"), entry("web01.cert"))).disks


def test_a_disk_that_the_archive_lacks_is_refused(tmp_path):
    error = refusal(ova(tmp_path, leave_out=("web01-disk1.vmdk",)))
    assert error.reason is Reason.ARCHIVE_INCOMPLETE
    assert "web01-disk1.vmdk, which is not there" in error.message
    assert "compare the archive's size" in error.hint


def test_a_size_that_the_descriptor_denies_is_refused(tmp_path):
    error = refusal(ova(tmp_path, ovf=ovf_text({"web01-disk1.vmdk": 5})))
    assert error.reason is Reason.ARCHIVE_INCOMPLETE
    assert "web01.ovf says 5" in error.message


def test_a_capacity_that_the_disk_denies_is_refused(tmp_path):
    parts = tmp_path / "first"
    parts.mkdir()
    size = disk_image(parts).stat().st_size
    error = refusal(ova(tmp_path, ovf=ovf_text({"web01-disk1.vmdk": size}, capacity=SIZE * 2)))
    assert error.reason is Reason.MACHINE_DESCRIPTION_INVALID
    assert str(SIZE * 2) in error.message


@pytest.mark.parametrize("attribute", [' ovf:compression="gzip"', ' ovf:chunkSize="7516192768"'])
def test_a_file_that_is_compressed_or_cut_as_a_whole_is_refused(tmp_path, attribute):
    parts = tmp_path / "first"
    parts.mkdir()
    size = disk_image(parts).stat().st_size
    text = ovf_text({"web01-disk1.vmdk": size}, attributes=attribute)
    error = refusal(ova(tmp_path, ovf=text), ImageError)
    assert error.reason is Reason.IMAGE_UNSUPPORTED
    assert "--chunkSize" in error.hint


@pytest.mark.parametrize("left", [0.9, 0.5, 0.01])
def test_an_archive_that_ends_early_is_refused(tmp_path, left):
    path = ova(tmp_path)
    with path.open("r+b") as archive:
        archive.truncate(int(path.stat().st_size * left))
    error = refusal(path)
    assert error.reason is Reason.ARCHIVE_INCOMPLETE
    assert str(path) in error.message
    assert "compare the archive's size" in error.hint


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" + bytes(2000), b"\0" * 100], ids=["empty", "zip", "zeros"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "web01.ova"
    path.write_bytes(content)
    error = refusal(path)
    assert error.reason is Reason.ARCHIVE_INCOMPLETE
    assert str(path) in error.message


def test_a_compressed_archive_is_not_unpacked(tmp_path):
    with tarfile.open(tmp_path / "web01.ova", "w:gz") as archive:
        archive.addfile(*entry("web01.ovf"))
    assert refusal(tmp_path / "web01.ova").reason is Reason.ARCHIVE_INCOMPLETE


def test_an_archive_without_descriptor_is_refused(tmp_path):
    error = refusal(ova(tmp_path, leave_out=("web01.ovf", "web01.mf")))
    assert error.reason is Reason.ARCHIVE_INCOMPLETE
    assert "holds no .ovf" in error.message


def test_an_archive_with_two_descriptors_is_refused(tmp_path):
    error = refusal(with_entries(ova(tmp_path), entry("web02.ovf")))
    assert error.reason is Reason.SOURCE_AMBIGUOUS
    assert "web01.ovf, web02.ovf" in error.message


def test_a_descriptor_of_megabytes_is_refused(tmp_path):
    error = refusal(ova(tmp_path, ovf=ovf_text({}) + " " * (9 << 20)))
    assert error.reason is Reason.MACHINE_DESCRIPTION_INVALID
    assert "bytes" in error.message


def header(name, size, kind=tarfile.REGTYPE):
    made = tarfile.TarInfo(name)
    made.type = kind
    block = bytearray(made.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = b"\xff" * 4 + (size & (1 << 64) - 1).to_bytes(8, "big") if size < 0 else b"%011o\0" % size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def test_a_negative_size_is_refused(tmp_path):
    path = tmp_path / "web01.ova"
    path.write_bytes(header("web01.ovf", -512) + bytes(1024))
    # Later patches of Debian's Python refuse it themselves.
    assert refusal(path).reason in {Reason.ARCHIVE_UNSAFE, Reason.ARCHIVE_INCOMPLETE}


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_an_extended_header_of_gigabytes_is_not_read(tmp_path, kind):
    path = tmp_path / "web01.ova"
    with path.open("wb") as archive:
        archive.write(header("x", 4 << 30, kind))
        archive.truncate(5 << 30)
    error = refusal(path)
    assert error.reason is Reason.ARCHIVE_INCOMPLETE
    assert "a header of 4294967296 bytes" in error.message


def test_a_chain_of_extended_headers_is_refused(tmp_path):
    path = tmp_path / "web01.ova"
    path.write_bytes((header("x", 512, tarfile.GNUTYPE_LONGNAME) + b"name".ljust(512, b"\0")) * 5000 + bytes(1024))
    assert refusal(path).reason is Reason.ARCHIVE_INCOMPLETE


@pytest.mark.parametrize("value", ["x", "1,", "-1,-1"])
def test_numbers_of_extended_headers_that_are_none_are_refused(tmp_path, value):
    made, content = entry("extra")
    made.pax_headers = {"GNU.sparse.map": value, "GNU.sparse.size": "1"}
    error = refusal(with_entries(ova(tmp_path), (made, content)))
    assert error.reason in {Reason.ARCHIVE_INCOMPLETE, Reason.ARCHIVE_UNSAFE}
