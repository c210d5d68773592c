"""`h2k run` of disks that hold no guest to repair: quick, as no appliance is needed."""

import pytest
from defusedxml.ElementTree import parse

from hyper2kvm.workspace import Workspace
from hyper2kvm_api.result import Result
from lab.command import h2k, manifest
from unit.disk.images import make_raw


@pytest.mark.parametrize(
    ("target", "bus", "model"),
    [
        ({}, "sata", "e1000e"),
        ({"disks": {"bus": "scsi"}, "virtualMachine": {"networkModel": "virtio"}}, "scsi", "virtio"),
    ],
)
def test_a_guest_that_is_copied_unchanged_gets_devices_that_it_knows(tmp_path, target, bus, model):
    make_raw(tmp_path / "disk.img", size=4 << 20)
    options = {"guest": {"whenUnsupported": "Copy"}, "validation": {"boot": {"enabled": False}}, "target": target}
    ended = h2k("run", manifest(tmp_path, "web01", tmp_path, "disk.img", **options), "--output", tmp_path / "out")
    assert ended.code == 0, ended.stderr
    devices = parse(tmp_path / "out/web01.xml").find("devices")
    assert devices.find("disk/target").get("bus") == bus
    assert devices.find("interface/model").get("type") == model
    assert Workspace(tmp_path / "out/web01.h2k").read(Result, "result").repaired is False
