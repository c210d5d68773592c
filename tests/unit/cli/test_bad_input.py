"""What `h2k run` says of bad input: an exit code, one error with a hint; the source stays as it is, no target appears."""

import hashlib
import io
import os
import re
import struct
import tarfile

import pytest

from lab.command import h2k, manifest
from unit.disk.images import convert, make_raw, qemu_img, snapshot
from unit.sources.exports import vmx_folder

SIZE = 4 << 20


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


def backed_qcow2(folder):
    base = raw(folder)
    qemu_img("create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", folder / "disk.qcow2")
    base.rename(folder / "base.img")
    return "disk.qcow2"


def qcow2_with_data_file(folder):
    data = f"data_file={folder}/disk.data"
    qemu_img("create", "-q", "-f", "qcow2", "-o", data, folder / "disk.qcow2", SIZE)
    return "disk.qcow2"


def truncated_qcow2(folder):
    image = convert(raw(folder), folder / "disk.qcow2", "qcow2")
    os.truncate(image, image.stat().st_size - 131072)
    return image.name


def empty_file(folder):
    (folder / "disk.img").touch()
    return "disk.img"


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


def archive(folder, *entries, digest=None):
    """An OVA of entries (name, content) with a manifest; `digest` stands in it in place of the right ones."""
    lines = [f"SHA256({name})= {digest or hashlib.sha256(content).hexdigest()}" for name, content in entries]
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
        (vmdk_naming("disk-flat.vmdk"), 4, "ExtentMissing", "Copy all files"),
        (backed_qcow2, 4, "ImageReferenceUnsafe", "Flatten"),
        (qcow2_with_data_file, 4, "ImageReferenceUnsafe", "Flatten"),
        (truncated_qcow2, 4, "ImageTruncated", "again"),
        (truncated_vmdk, 4, "ImageTruncated", "again"),
        (empty_file, 4, "ImageTruncated", "again"),
        (wrong_magic, 4, "ImageFormatMismatch", "format"),
        (changed_parent, 4, "ParentChanged", ""),
        (wrong_digest, 3, "ManifestDigestMismatch", "again"),
        (entry_outside, 3, "ArchiveUnsafe", ""),
        (disk_that_is_not_there, 3, "ArchiveIncomplete", ""),
    ],
    ids=lambda value: getattr(value, "__name__", None) if callable(value) else None,
)
def test_bad_sources(tmp_path, make, code, reason, hint):
    source = tmp_path / "source"
    source.mkdir()
    path = make(source)
    before = {entry.name: entry.read_bytes() for entry in source.iterdir()}
    ended = h2k("run", manifest(tmp_path, "web01", source, path), "--output", tmp_path / "out")
    check_failed(ended, code, reason, hint)
    assert {entry.name: entry.read_bytes() for entry in source.iterdir()} == before
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["web01.h2k"]


def test_an_existing_target_ends_the_run_before_its_work(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    make_raw(source / "disk.img", size=SIZE)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/web01-disk0.raw").write_text("somebody's")
    ended = h2k("run", manifest(tmp_path, "web01", source, "disk.img"), "--output", tmp_path / "out")
    check_failed(ended, 6, "TargetExists", "")
    assert (tmp_path / "out/web01-disk0.raw").read_text() == "somebody's"
    assert not any(event.get("stage") == "Inspect" for event in ended.events)


def test_an_unknown_field_names_the_one_that_was_meant(tmp_path):
    file = manifest(tmp_path, "web01", tmp_path, "disk.img", taget={})
    ended = h2k("run", file, "--output", tmp_path / "out")
    check_failed(ended, 2, "UnknownField", "")
    assert "spec.taget" in ended.stderr
    assert "target" in ended.stderr


def check_failed(ended, code, reason, hint):
    assert ended.code == code, ended.stderr
    lines = ended.stderr.splitlines()
    assert len(lines) == 2, ended.stderr
    assert lines[0].startswith(f"error {reason}")
    assert lines[1].startswith("hint  ")
    assert hint in lines[1]
    failed = [event for event in ended.events if event["type"] == "Failed"]
    assert failed == [ended.events[-1]]
    assert failed[0]["reason"] == reason
