"""`h2k run` of disks that hold no guest to repair: quick, as no appliance is needed."""

import pytest
from defusedxml.ElementTree import parse

from hyper2kvm.workspace import Workspace
from hyper2kvm_api.result import Result
from lab.command import h2k, manifest
from unit.cli.tiny import COPIED, MIB
from unit.disk.images import convert, digests, make_raw
from unit.sources import exports


@pytest.mark.parametrize(
    ("target", "bus", "model"),
    [
        ({}, "sata", "e1000e"),
        ({"disks": {"bus": "scsi"}, "virtualMachine": {"networkModel": "virtio"}}, "scsi", "virtio"),
    ],
)
def test_a_guest_that_is_copied_unchanged_gets_devices_that_it_knows(tmp_path, target, bus, model):
    make_raw(tmp_path / "disk.img", size=4 * MIB)
    file = manifest(tmp_path, "web01", tmp_path, "disk.img", **COPIED, target=target)
    ended = h2k("run", file, "--output", tmp_path / "out")
    assert ended.code == 0, ended.stderr
    devices = parse(tmp_path / "out/web01.xml").find("devices")
    assert devices.find("disk/target").get("bus") == bus
    assert devices.find("interface/model").get("type") == model
    assert Workspace(tmp_path / "out/web01.h2k").read(Result, "result").repaired is False


IMAGES = [
    ("disk.img", "raw", {}),
    ("disk.qcow2", "qcow2", {}),
    ("disk.vhd", "vpc", {"force_size": "on"}),
    ("disk.vhdx", "vhdx", {}),
    ("disk.vdi", "vdi", {}),
    ("disk.vmdk", "vmdk", {}),
    ("disk.vmdk", "vmdk", {"subformat": "streamOptimized"}),
    ("disk.vmdk", "vmdk", {"subformat": "twoGbMaxExtentFlat"}),
]


def check_copied(folder, source, path, *raws):
    """Whether a run makes what these raw disks hold, and leaves the source as it was."""
    before = digests(source)
    ended = h2k("run", manifest(folder, "web01", source, path, **COPIED), "--output", folder / "out")
    assert (ended.code, ended.stderr) == (0, "")
    targets = sorted((folder / "out").glob("*.raw"))
    assert [target.name for target in targets] == [f"web01-disk{number}.raw" for number in range(len(raws))]
    for target, raw in zip(targets, raws, strict=True):
        assert target.read_bytes() == raw.read_bytes()
    assert digests(source) == before


@pytest.mark.parametrize(("name", "qemu", "options"), IMAGES)
def test_an_image_of_each_format_becomes_the_disk_that_it_holds(tmp_path, name, qemu, options):
    raw = make_raw(tmp_path / "made.raw", size=4 * MIB)
    (tmp_path / "source").mkdir()
    convert(raw, tmp_path / "source" / name, qemu, **options)
    check_copied(tmp_path, tmp_path / "source", name, raw)


def test_an_ovf_folder_becomes_the_disks_that_it_holds(tmp_path):
    folder = tmp_path / "web01"
    folder.mkdir()
    disks = [exports.disk_image(folder, f"web01-disk{n}.vmdk", n) for n in (1, 2)]
    descriptor = folder / "web01.ovf"
    sizes = {disk.name: disk.stat().st_size for disk in disks}
    descriptor.write_text(exports.ovf_text(sizes, ("scsi0:0", "scsi0:1")))
    (folder / "web01.mf").write_text(exports.manifest([descriptor, *disks]))
    raws = [make_raw(tmp_path / f"made{n}.raw", seed=n, size=exports.SIZE) for n in (1, 2)]
    check_copied(tmp_path, folder, ".", *raws)
