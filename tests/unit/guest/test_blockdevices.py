from unittest.mock import Mock

import pytest

from hyper2kvm.guest.blockdevices import MAX_DEVICES, Probes, described, scan
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason

GIB = 1 << 30
GPT = {
    "TYPE": "ext4",
    "UUID": "aaaa",
    "LABEL": "my\\ data",
    "PART_ENTRY_SCHEME": "gpt",
    "PART_ENTRY_NAME": 'EFI\\ System\\ \\"x\\"',
    "PART_ENTRY_UUID": "6f1b7a1e-0001-4000-8000-000000000001",
    "PART_ENTRY_TYPE": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
}


def test_a_partition_is_described_by_what_blkid_prints():
    found = described("/dev/sda1", GPT, GIB, disk="scsi0:0", partition=1)
    assert (found.type, found.uuid, found.label) == ("ext4", "aaaa", "my data")
    assert (found.part_label, found.part_type) == ('EFI System "x"', "c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
    assert described("/dev/sda1", {"PART_ENTRY_TYPE": "0x83"}, GIB, disk=None, partition=1).part_type == "83"


def test_what_blkid_does_not_know_is_unknown():
    found = described("/dev/sda1", {}, GIB, disk="scsi0:0", partition=1)
    assert (found.type, found.uuid, found.part_type) == ("unknown", None, None)


def test_a_volume_has_nothing_of_its_partition():
    assert described("/dev/vg/root", GPT, GIB, disk=None).part_uuid is None


class Handle:
    """Stands for an appliance with two disks: partitions and a volume on the first, LVM on the second as a whole."""

    partitions = ("/dev/sda1", "/dev/sda2", "/dev/sda5")
    groups = {"one": ["p1"], "two": ["p1", "p2"]}
    tags = {
        "/dev/sda1": {**GPT, "PART_ENTRY_SIZE": "2048"},
        "/dev/sda2": {"PART_ENTRY_TYPE": "0x5", "PART_ENTRY_SIZE": "2"},
        "/dev/sda5": {"TYPE": "LVM2_member", "UUID": "p1", "PART_ENTRY_TYPE": "0x8e"},
        "/dev/sdb": {"TYPE": "LVM2_member", "UUID": "p2"},
        "/dev/one/root": {"TYPE": "xfs"},
    }

    def is_ready(self) -> int:
        return 1

    def list_devices(self) -> list[str]:
        return ["/dev/sda", "/dev/sdb"]

    def list_partitions(self) -> list[str]:
        return list(self.partitions)

    def part_to_dev(self, partition: str) -> str:
        return partition[:8]

    def list_md_devices(self) -> list[str]:
        return ["/dev/md127"]

    def md_detail(self, md: str) -> dict[str, str]:
        return {"uuid": "a:b:c:d", "name": f"web01:{md}"}

    def list_dm_devices(self) -> list[str]:
        return []

    def lvs(self) -> list[str]:
        return ["/dev/one/root", "/dev/two/data"]

    def vgs(self) -> list[str]:
        return list(self.groups)

    def vgpvuuids(self, vgname: str) -> list[str]:
        return self.groups[vgname]

    def vguuid(self, vgname: str) -> str:
        return {"one": "SMFV93-kNXM-JkvU-pMSp-2Zg1-Xb9k-Q2vEDo"}.get(vgname, "dNHiTQ-9Tm0-XjcS-3Hf2-vGcE-L5kX-b7RlWa")

    def lvuuid(self, device: str) -> str:
        return "4zKxyf-oD0s-0kRz-7n5V-hXm1-e8Ip-jYtCw3"

    def blockdev_getsize64(self, device: str) -> int:
        return GIB

    def blkid(self, device: str) -> dict[str, str]:
        if device not in self.tags:
            raise RuntimeError("blkid: exited with status 2")
        return self.tags[device]


def test_the_table_has_everything_that_may_hold_something():
    found = scan(Handle(), ["scsi0:0", "scsi0:1"], Probes())
    assert [(each.device, each.disk, each.partition, each.type, each.size) for each in found] == [
        ("/dev/sdb", "scsi0:1", None, "LVM2_member", GIB),
        ("/dev/sda1", "scsi0:0", 1, "ext4", 1 << 20),
        ("/dev/sda5", "scsi0:0", 5, "LVM2_member", GIB),
        ("/dev/md127", None, None, "unknown", GIB),
        ("/dev/one/root", "scsi0:0", None, "xfs", GIB),
        ("/dev/two/data", None, None, "unknown", GIB),
    ]
    assert [(each.raid_uuid, each.raid_name) for each in found if each.raid_uuid] == [("a:b:c:d", "web01:/dev/md127")]


def test_volumes_have_the_uuids_that_device_mapper_knows_them_by():
    found = {each.device: each.volume_uuid for each in scan(Handle(), ["scsi0:0", "scsi0:1"], Probes())}
    assert found["/dev/one/root"] == "SMFV93kNXMJkvUpMSp2Zg1Xb9kQ2vEDo4zKxyfoD0s0kRz7n5VhXm1e8IpjYtCw3"
    assert found["/dev/two/data"] == "dNHiTQ9Tm0XjcS3Hf2vGcEL5kXb7RlWa4zKxyfoD0s0kRz7n5VhXm1e8IpjYtCw3"
    assert found["/dev/sda1"] is None


def test_groups_of_one_name_are_no_error():
    """LVM states no UUID then: of a disk and its copy, say."""
    handle = Handle()
    handle.vguuid = Mock(side_effect=RuntimeError("vguuid: Multiple VGs found with the same name"))
    found = {each.device: each for each in scan(handle, ["scsi0:0", "scsi0:1"], Probes())}
    assert (found["/dev/one/root"].type, found["/dev/one/root"].volume_uuid) == ("xfs", None)


def test_an_appliance_with_other_disks_is_an_error():
    with pytest.raises(HostError, match="2 disks in place of 1") as caught:
        scan(Handle(), ["scsi0:0"], Probes())
    assert caught.value.reason is Reason.APPLIANCE_FAILED


def test_a_partition_table_that_wastes_our_time_is_refused():
    handle = Handle()
    handle.partitions = tuple(f"/dev/sda{number}" for number in range(1, MAX_DEVICES + 2))
    with pytest.raises(HostError, match=f"more than {MAX_DEVICES}") as caught:
        scan(handle, ["scsi0:0", "scsi0:1"], Probes())
    assert "Copy" in caught.value.hint
