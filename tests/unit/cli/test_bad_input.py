"""What `h2k run` says of bad input: an exit code, one error with a hint; the source stays as it is, no target appears."""

import hashlib
import io
import os
import re
import signal
import stat
import struct
import subprocess
import tarfile

import pytest

from lab.command import H2K, h2k, manifest
from lab.smallvolume import resize, small_volume
from unit.disk.images import convert, make_raw, qemu_img, snapshot
from unit.sources.exports import vmx_folder

SIZE = 4 << 20
COPIED = {"guest": {"whenUnsupported": "Copy"}, "validation": {"boot": {"enabled": False}}}
"""Options of a migration whose disk holds no system."""


def raw(folder):
    return make_raw(folder / "raw.img", size=SIZE)


def vmdk_naming(name):
    """A descriptor whose only extent is `name`."""

    def make(folder):
        text = (
            "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="
            f'"monolithicFlat"\n\nRW {SIZE // 512} FLAT "{name}" 0\n'
        )
        (folder / "disk.vmdk").write_text(text)
        return "disk.vmdk"

    return make


def vmdk_naming_a_node(make_node):
    """A descriptor whose only extent is a special file beside it."""

    def make(folder):
        make_node(folder / "disk-flat.vmdk")
        return vmdk_naming("disk-flat.vmdk")(folder)

    return make


def device_node(path):
    os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(7, 0))


def device_mapping(folder):
    text = vmdk_naming("disk-rdm.vmdk")(folder)
    (folder / text).write_text((folder / text).read_text().replace(" FLAT ", " VMFSRDM "))
    return text


def backed_qcow2(folder):
    base = raw(folder)
    qemu_img("create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", folder / "disk.qcow2")
    base.rename(folder / "base.img")
    return "disk.qcow2"


def qcow2_with_data_file(folder):
    data = f"data_file={folder}/disk.data"
    qemu_img("create", "-q", "-f", "qcow2", "-o", data, folder / "disk.qcow2", SIZE)
    return "disk.qcow2"


def truncated(name, qemu, lost=131072, part=None, **options):
    """An image that lacks its last bytes; where it has several files, one of them does."""

    def make(folder):
        image = convert(raw(folder), folder / name, qemu, **options)
        cut = folder / (part or name)
        os.truncate(cut, cut.stat().st_size - lost)
        return image.name

    return make


def empty(name):
    def make(folder):
        (folder / name).touch()
        return name

    return make


def truncated_vmdk(folder):
    image = convert(raw(folder), folder / "disk.vmdk", "vmdk")
    os.truncate(image, 70_000)
    return image.name


def changed_parent(folder):
    base = convert(raw(folder), folder / "web01-base.vmdk", "vmdk")
    snapshot(base, folder / "web01.vmdk", writes=[(0, 512)])
    content = base.read_bytes()
    cid = re.search(rb"(?<=\nCID=)[0-9a-f]{1,8}(?=\n)", content)
    other = f"{int(cid[0], 16) ^ 1:0{len(cid[0])}x}".encode()
    base.write_bytes(content[: cid.start()] + other + content[cid.end() :])
    (folder / "raw.img").unlink()
    vmx_folder(folder)
    return "."


def archive(folder, *entries, digest=None, listed=None):
    """An OVA of entries (name, content) with a manifest; `digest` stands in it in place of the right ones.

    `listed` are the names that the manifest has; all when None.
    """
    lines = [
        f"SHA256({name})= {digest or hashlib.sha256(content).hexdigest()}"
        for name, content in entries
        if listed is None or name in listed
    ]
    every = [entries[0], ("web01.mf", "\n".join(lines).encode()), *entries[1:]]
    with tarfile.open(folder / "web01.ova", "w") as made:
        for name, content in every:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            made.addfile(entry, io.BytesIO(content))
    return "web01.ova"


def machine(disk="web01-disk1.vmdk"):
    return (
        '<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" '
        'xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData">'
        f'<References><File ovf:href="{disk}" ovf:id="file1"/></References>'
        f'<DiskSection><Info/><Disk ovf:capacity="{SIZE}" ovf:diskId="d1" ovf:fileRef="file1"/></DiskSection>'
        '<VirtualSystem ovf:id="web01"><Info/><VirtualHardwareSection><Info/>'
        "<Item><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType>"
        "<rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:VirtualQuantity>512</rasd:VirtualQuantity></Item>"
        "<Item><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceType>6</rasd:ResourceType></Item>"
        "<Item><rasd:InstanceID>4</rasd:InstanceID><rasd:ResourceType>17</rasd:ResourceType><rasd:Parent>3</rasd:Parent>"
        "<rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/d1</rasd:HostResource></Item>"
        "</VirtualHardwareSection></VirtualSystem></Envelope>"
    ).encode()


def stream(folder):
    image = convert(raw(folder), folder / "stream.vmdk", "vmdk", subformat="streamOptimized")
    (folder / "raw.img").unlink()
    content = image.read_bytes()
    image.unlink()
    return content


def wrong_digest(folder):
    return archive(folder, ("web01.ovf", machine()), ("web01-disk1.vmdk", stream(folder)), digest="0" * 64)


def entry_outside(folder):
    return archive(folder, ("web01.ovf", machine("../disk.vmdk")), ("../disk.vmdk", stream(folder)))


def disk_that_is_not_there(folder):
    return archive(folder, ("web01.ovf", machine()), ("other.vmdk", stream(folder)))


def unlisted_disk(folder):
    entries = ("web01.ovf", machine()), ("web01-disk1.vmdk", stream(folder)), ("extra.vmdk", b"x")
    return archive(folder, *entries)


def disk_that_no_digest_is_of(folder):
    return archive(folder, ("web01.ovf", machine()), ("web01-disk1.vmdk", stream(folder)), listed=["web01.ovf"])


def empty_manifest(folder):
    return archive(folder, ("web01.ovf", machine()), ("web01-disk1.vmdk", stream(folder)), listed=[])


def archive_cut_short(folder):
    name = archive(folder, ("web01.ovf", machine()), ("web01-disk1.vmdk", stream(folder)))
    os.truncate(folder / name, 30_000)
    return name


def wrong_magic(folder):
    (folder / "disk.qcow2").write_bytes(struct.pack(">4sI", b"NOPE", 3) + bytes(SIZE))
    return "disk.qcow2"


@pytest.mark.parametrize(
    ("make", "code", "reason", "hint"),
    [
        (lambda _: "missing.ova", 3, "SourceNotFound", "path"),
        (vmdk_naming("/etc/hostname"), 4, "ImageReferenceUnsafe", "Flatten"),
        (vmdk_naming("../outside.vmdk"), 4, "ImageReferenceUnsafe", "Flatten"),
        (vmdk_naming("/dev/zero"), 4, "ImageReferenceUnsafe", "Flatten"),
        (vmdk_naming_a_node(device_node), 4, "ImageReferenceUnsafe", "Flatten"),
        (vmdk_naming_a_node(os.mkfifo), 4, "ImageReferenceUnsafe", "Flatten"),
        (device_mapping, 4, "ImageUnsupported", "vmkfstools -i"),
        (vmdk_naming("disk-flat.vmdk"), 4, "ExtentMissing", "Copy all files"),
        (backed_qcow2, 4, "ImageReferenceUnsafe", "Flatten"),
        (qcow2_with_data_file, 4, "ImageReferenceUnsafe", "Flatten"),
        (truncated("disk.qcow2", "qcow2"), 4, "ImageTruncated", "copy it again"),
        (truncated("disk.qcow2", "qcow2", lost=1), 4, "ImageTruncated", "copy it again"),
        (truncated("disk.vhd", "vpc", force_size="on"), 4, "ImageTruncated", "copy it again"),
        (truncated("disk.vhdx", "vhdx"), 4, "ImageTruncated", "copy it again"),
        (truncated("disk.vdi", "vdi"), 4, "ImageTruncated", "copy it again"),
        (truncated_vmdk, 4, "ImageTruncated", "copy it again"),
        (truncated("disk.vmdk", "vmdk", subformat="streamOptimized"), 4, "ImageTruncated", "copy it again"),
        (
            truncated("disk.vmdk", "vmdk", part="disk-flat.vmdk", subformat="monolithicFlat"),
            4,
            "ImageTruncated",
            "copy it again",
        ),
        (empty("disk.img"), 4, "ImageTruncated", "copy it again"),
        (empty("disk.qcow2"), 4, "ImageTruncated", "copy it again"),
        (empty("disk.vhd"), 4, "ImageTruncated", "copy it again"),
        (empty("disk.vhdx"), 4, "ImageTruncated", "copy it again"),
        (empty("disk.vdi"), 4, "ImageTruncated", "copy it again"),
        (empty("disk.vmdk"), 4, "ImageTruncated", "copy it again"),
        (wrong_magic, 4, "ImageFormatMismatch", "spec.source.files.format"),
        (changed_parent, 4, "ParentChanged", "consolidate the snapshots"),
        (wrong_digest, 3, "ManifestDigestMismatch", "compare the digests"),
        (entry_outside, 3, "ArchiveUnsafe", "Do not use this archive"),
        (archive_cut_short, 3, "ArchiveIncomplete", "compare the archive's size"),
        (disk_that_is_not_there, 3, "ArchiveIncomplete", "compare the archive's size"),
        (unlisted_disk, 3, "ArchiveIncomplete", "compare the archive's size"),
        (disk_that_no_digest_is_of, 3, "ArchiveIncomplete", "remove the manifest"),
        (empty_manifest, 3, "ArchiveIncomplete", "remove the manifest"),
    ],
    ids=lambda value: getattr(value, "__name__", None) if callable(value) else None,
)
def test_bad_sources(tmp_path, make, code, reason, hint):
    source = tmp_path / "source"
    source.mkdir()
    path = make(source)
    before = digests(source)
    ended = h2k("run", manifest(tmp_path, "web01", source, path), "--output", tmp_path / "out")
    check_failed(ended, code, reason, hint)
    assert digests(source) == before
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["web01.h2k"]


@pytest.fixture
def sound(tmp_path):
    """A disk without a system, the manifest of its migration, and where that writes to."""
    source = tmp_path / "source"
    source.mkdir()
    make_raw(source / "disk.img", size=SIZE)
    (tmp_path / "out").mkdir()
    return source, manifest(tmp_path, "web01", source, "disk.img", **COPIED), tmp_path / "out"


def test_a_source_that_may_not_be_read(sound):
    """Root without its powers: whoever owns the file keeps it to himself."""
    source, file, out = sound
    (source / "disk.img").chmod(0o600)
    os.chown(source / "disk.img", 65534, 65534)
    before = digests(source)
    powerless = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all"]
    ended = h2k("run", file, "--output", out, wrapper=powerless)
    check_failed(ended, 3, "SourceUnreadable", "uid 107")
    assert "Permission denied" in ended.stderr
    assert digests(source) == before
    assert [entry.name for entry in out.iterdir()] == ["web01.h2k"]


@pytest.mark.parametrize("name", ["web01-disk0.raw", "web01.xml"])
def test_an_existing_target_ends_the_run_before_its_work(sound, name):
    source, file, out = sound
    before = digests(source)
    (out / name).write_text("somebody's")
    ended = h2k("run", file, "--output", out)
    check_failed(ended, 6, "TargetExists", "never overwritten")
    assert (out / name).read_text() == "somebody's"
    assert sorted(entry.name for entry in out.iterdir()) == sorted([name, "web01.h2k"])
    assert not any(event.get("stage") == "Inspect" for event in ended.events)
    assert digests(source) == before


def test_one_run_at_a_time_has_a_workspace(sound):
    source, file, out = sound
    before = digests(source)
    command = [H2K, "run", str(file), "--output", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        first.stdout.readline()
        first.send_signal(signal.SIGSTOP)
        ended = h2k("run", file, "--output", out)
        first.send_signal(signal.SIGCONT)
        first.stdout.read()
        assert first.wait(60) == 0
    assert ended.code == 9
    assert ended.stderr.splitlines()[0].startswith("error WorkspaceLocked")
    assert f"process {first.pid}" in ended.stderr
    assert "another --workspace" in ended.stderr.splitlines()[1]
    assert (out / "web01-disk0.raw").read_bytes() == (source / "disk.img").read_bytes()
    assert digests(source) == before


@pytest.fixture
def small(tmp_path):
    """A file system of this test alone, too small for the disk."""
    with small_volume(tmp_path / "small", "6m") as folder:
        yield folder


def test_a_full_file_system_that_holds_workspace_and_target(tmp_path, small):
    """The default layout: what is kept in the workspace has no room either."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "disk.img").write_bytes(os.urandom(16 << 20))
    before = digests(source)
    command = ("run", manifest(tmp_path, "web01", source, "disk.img", **COPIED), "--output", small)
    ended = h2k(*command)
    check_failed(ended, 6, "TargetFull", "continues where it stopped")
    assert not (small / "web01-disk0.raw").exists()
    resize(small, "64m")
    goes_on(command, small / "web01-disk0.raw", source / "disk.img")
    assert digests(source) == before


def goes_on(command, target, image):
    """A run has room now: it copies what is left, and no stage before that starts again."""
    ended = h2k(*command)
    assert ended.code == 0, ended.stderr
    assert [event["stage"] for event in ended.events if event["type"] == "StageStarted"] == ["Convert", "Validate"]
    assert target.read_bytes() == image.read_bytes()


def make_cold(file):
    """Take a file out of memory. From there all threads would write at once, and most of them meet the end of the space."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def test_a_full_target_is_continued_when_there_is_space(tmp_path, small):
    """What was copied is kept, and how much room there is to make is told."""
    source = tmp_path / "source"
    source.mkdir()
    with (source / "disk.img").open("wb") as disk:
        disk.seek(8 << 20)
        disk.write(os.urandom(24 << 20))
        disk.truncate(64 << 20)
    before = digests(source)
    make_cold(source / "disk.img")
    file = manifest(tmp_path, "web01", source, "disk.img", **COPIED)
    command = ("run", file, "--output", small, "--workspace", tmp_path / "w")
    ended = h2k(*command)
    check_failed(ended, 6, "TargetFull", "continues where it stopped")
    assert [entry.name for entry in small.iterdir()] == [".web01-disk0.raw.partial"]
    left, free = map(int, re.search(r"(\d+) bytes are still to be copied, (\d+) bytes are free", ended.stderr).groups())
    assert free < left < 24 << 20
    assert digests(source) == before
    resize(small, "80m")
    goes_on(command, small / "web01-disk0.raw", source / "disk.img")
    assert digests(source) == before


def test_an_unknown_field_names_the_one_that_was_meant(tmp_path):
    file = manifest(tmp_path, "web01", tmp_path, "disk.img", taget={})
    ended = h2k("run", file, "--output", tmp_path / "out")
    check_refused(ended, 2, "UnknownField", "nearest known one")
    assert "spec.taget" in ended.stderr
    assert "target" in ended.stderr


def check_failed(ended, code, reason, hint):
    """A run that began: one clear error, and one event that says the same."""
    check_refused(ended, code, reason, hint)
    (failed,) = [event for event in ended.events if event["type"] == "Failed"]
    assert failed["reason"] == reason
    assert hint in failed["hint"]


def check_refused(ended, code, reason, hint):
    assert ended.code == code, ended.stderr
    lines = ended.stderr.splitlines()
    assert len(lines) == 2, ended.stderr
    assert lines[0].startswith(f"error {reason}")
    assert lines[1].startswith("hint  ")
    assert hint in lines[1]
    failed = [event for event in ended.events if event["type"] == "Failed"]
    assert failed == [ended.events[-1]]
    assert failed[0]["reason"] == reason


def digests(folder):
    """Of the plain files; what else there is, by its kind."""
    return {
        entry.name: hashlib.sha256(entry.read_bytes()).hexdigest() if entry.is_file() else entry.lstat().st_mode
        for entry in folder.iterdir()
    }
