import json
import subprocess
import tarfile

import pytest

from hyper2kvm.disk.graph import flatten_disk
from lab.guests.exports import SUBFORMATS, _give_cid, write_variant
from unit.sources.refusing import fetched


def vmx(folder):
    return fetched(next(folder.glob("*.vmx")))


def check_disks(found, guest, scratch):
    """Whether the product reads from the source's disks what the raw images hold."""
    for disk, raw in zip(found.disks, guest.disks, strict=True):
        graph = f"json:{json.dumps(flatten_disk(disk, scratch / disk.id).node.options())}"
        subprocess.run(["qemu-img", "compare", "-q", "-F", "raw", graph, raw], check=True)


@pytest.mark.parametrize("subformat", SUBFORMATS)
def test_a_snapshot_on_a_base_of_any_subformat_is_read_as_the_disk(tiny, tmp_path, subformat):
    check_disks(vmx(write_variant(tiny, tmp_path / "vmx", subformat)), tiny, tmp_path)


@pytest.mark.parametrize("subformat", ["monolithicSparse", "twoGbMaxExtentSparse"])
@pytest.mark.parametrize("cid", [b"7", b"1234567", b"89abcdef"])
def test_a_content_id_of_any_length_takes_the_place_of_another(tmp_path, subformat, cid):
    target = tmp_path / "disk.vmdk"
    subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", "-o", f"subformat={subformat}", target, "1M"], check=True)
    size = target.stat().st_size
    for given in (b"fedcba98", cid):
        _give_cid(target, given)
        told = json.loads(subprocess.check_output(["qemu-img", "info", "-f", "vmdk", "--output=json", target]))
        assert told["format-specific"]["data"]["cid"] == int(given, 16)
    subprocess.run(["qemu-img", "check", "-q", "-f", "vmdk", target], check=True)
    assert subformat != "monolithicSparse" or target.stat().st_size == size


def test_the_newest_link_alone_holds_what_was_written_after_the_snapshot(tiny):
    base, newest = (tiny.vmx / f"tiny{suffix}.vmdk" for suffix in ("", "-000001"))
    written = b"written after the snapshot\n"
    assert written in newest.read_bytes()
    assert written not in base.read_bytes()


def test_vmx_and_ova_describe_the_same_machine(tiny, tmp_path):
    folder, archive = vmx(tiny.vmx).machine, fetched(tiny.ova).machine
    for machine in (folder, archive):
        assert (machine.name, machine.firmware, machine.cpu.count, machine.memory) == ("tiny", "bios", 2, 1 << 30)
        assert [disk.id for disk in machine.disks] == ["scsi0:0", "scsi0:1"]
        assert [disk.capacity for disk in machine.disks] == [raw.stat().st_size for raw in tiny.disks]
        assert [(nic.mac, nic.model, nic.slot) for nic in machine.nics] == [(tiny.mac, "vmxnet3", 192)]


def test_the_ova_holds_every_file_in_the_order_of_its_manifest(tiny, tmp_path):
    found = fetched(tiny.ova)
    check_disks(found, tiny, tmp_path)
    with tarfile.open(tiny.ova) as archive:
        names = archive.getnames()
    assert names == ["tiny.ovf", "tiny.mf", "tiny-disk1.vmdk", "tiny-disk2.vmdk", "tiny-file1.nvram"]
    assert sorted(found.verified) == sorted(name for name in names if name != "tiny.mf")


def test_its_disks_are_streams_with_their_directory_at_the_end(tiny):
    """As VMware writes them, in one pass: qemu-img puts the directory first."""
    for disk in fetched(tiny.ova).disks:
        with tiny.ova.open("rb") as archive:
            archive.seek(disk.location.offset)
            header = archive.read(4096)
            archive.seek(disk.location.offset + disk.location.length - 1536)
            end = archive.read(1536)
        assert header[56:64] == b"\xff" * 8
        assert b"RDONLY " in header
        assert (end[512:516], end[1024:]) == (b"KDMV", bytes(512))
