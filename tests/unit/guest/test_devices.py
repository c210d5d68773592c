import pytest

from hyper2kvm.guest.description import BlockDevice
from hyper2kvm.guest.devices import DeviceNames, disk_name
from hyper2kvm_api.machine import DiskBus, Machine, MachineDisk

GIB = 1 << 30
WWN = "6000c29f0a1b2c3d4e5f60718293a4b5"


def machine(*places: str, wwns: dict[str, str] | None = None) -> Machine:
    """A machine with disks at places such as `scsi0:1`."""
    disks = []
    for place in places:
        bus, unit = place.rstrip("0123456789").rstrip(":"), int(place.partition(":")[2])
        kind = bus.rstrip("0123456789")
        disks.append(
            MachineDisk(
                id=place,
                bus=DiskBus(kind),
                controller=int(bus.removeprefix(kind)),
                unit=unit,
                capacity=8 * GIB,
                format="vmdk",
                file=f"{place}.vmdk",
                wwn=(wwns or {}).get(place),
            )
        )
    return Machine(name="web01", memory=GIB, disks=tuple(disks))


def partitions(*places: str, count: int = 2) -> list[BlockDevice]:
    return [
        BlockDevice(device=f"{disk_name(index)}{number}", disk=place, partition=number, type="ext4", size=GIB)
        for index, place in enumerate(places)
        for number in range(1, count + 1)
    ]


def found(name: str, *places: str, wwns: dict[str, str] | None = None) -> tuple[str | None, int | None] | None:
    device = DeviceNames(machine(*places, wwns=wwns), partitions(*places)).find(name)
    return (device.disk, device.partition) if device else None


TWO = ("scsi0:0", "scsi0:1")
PCI = "/dev/disk/by-path/pci-0000:03:00.0"
BY_ID = "/dev/disk/by-id"


@pytest.mark.parametrize(
    ("name", "places", "expected"),
    [
        ("/dev/sda1", TWO, ("scsi0:0", 1)),
        ("/dev/sdb2", TWO, ("scsi0:1", 2)),
        ("/dev/sdb", TWO, ("scsi0:1", None)),
        ("/dev/sdc1", TWO, None),
        ("/dev/sda3", TWO, None),
        ("/dev/sda1", ("nvme0:0", "sata0:0"), ("sata0:0", 1)),
        ("/dev/hda1", ("ide0:0", "ide1:0"), ("ide0:0", 1)),
        ("/dev/hdc1", ("ide0:0", "ide1:0"), ("ide1:0", 1)),
        ("/dev/hdb1", ("ide0:0", "ide1:0"), None),
        ("/dev/hda1", TWO, ("scsi0:0", 1)),
        ("/dev/vdb1", ("virtio0:0", "virtio0:1"), ("virtio0:1", 1)),
        ("/dev/xvda2", TWO, ("scsi0:0", 2)),
        ("/dev/nvme0n1p2", ("nvme0:0", "nvme0:1"), ("nvme0:0", 2)),
        ("/dev/nvme0n2", ("nvme0:0", "nvme0:1"), ("nvme0:1", None)),
        ("/dev/nvme1n1p1", ("nvme0:0", "nvme1:0"), ("nvme1:0", 1)),
    ],
)
def test_kernel_names_follow_the_machines_order(name, places, expected):
    assert found(name, *places) == expected


@pytest.mark.parametrize(
    ("name", "places", "expected"),
    [
        (f"{PCI}-scsi-0:0:1:0-part2", TWO, ("scsi0:1", 2)),
        (f"{PCI}-scsi-0:0:1:0", TWO, ("scsi0:1", None)),
        (f"{PCI}-scsi-0:0:2:0-part1", TWO, None),
        (f"{PCI}-scsi-2:0:0:0-part1", ("scsi0:0",), ("scsi0:0", 1)),
        (f"{PCI}-scsi-0:0:0:0-part1", ("scsi0:0", "scsi1:0"), None),
        (f"{PCI}-scsi-0:0:3:0-part1", ("scsi0:0", "scsi1:3"), ("scsi1:3", 1)),
        (f"{PCI}-scsi-1:0:0:0-part1", ("ide0:0", "ide1:0"), ("ide1:0", 1)),
        ("/dev/disk/by-path/acpi-VMBUS:01-scsi-0:0:0:1-part1", TWO, ("scsi0:1", 1)),
        ("/dev/disk/by-path/acpi-VMBUS:00-vmbus-0123abcd-lun-1-part1", TWO, ("scsi0:1", 1)),
        (f"{PCI}-sas-phy1-lun-0-part1", TWO, ("scsi0:1", 1)),
        (f"{PCI}-sas-0x5000c29a8c3a2b47-lun-0-part1", ("scsi0:0",), ("scsi0:0", 1)),
        (f"{PCI}-ata-2-part1", ("sata0:0", "sata0:1"), ("sata0:1", 1)),
        (f"{PCI}-ata-2.0-part1", ("ide0:0", "ide1:0"), ("ide1:0", 1)),
        (f"{PCI}-ata-1.1-part1", ("ide0:0", "ide0:1"), ("ide0:1", 1)),
        (f"{PCI}-nvme-2-part1", ("nvme0:0", "nvme0:1"), ("nvme0:1", 1)),
        (f"{PCI}-part1", ("virtio0:0",), ("virtio0:0", 1)),
        ("/dev/disk/by-path/virtio-pci-0000:00:05.0-part1", ("virtio0:0", "virtio0:1"), None),
        ("/dev/disk/by-path/ip-192.0.2.1:3260-iscsi-x-lun-1-part1", TWO, None),
    ],
)
def test_paths_name_a_place_on_a_controller(name, places, expected):
    assert found(name, *places) == expected


@pytest.mark.parametrize(
    ("name", "places", "expected"),
    [
        (f"{BY_ID}/wwn-0x{WWN}-part1", TWO, ("scsi0:1", 1)),
        (f"{BY_ID}/scsi-3{WWN}-part1", TWO, ("scsi0:1", 1)),
        (f"{BY_ID}/scsi-SVMware_Virtual_disk_{WWN}-part1", TWO, ("scsi0:1", 1)),
        (f"{BY_ID}/scsi-3{WWN}", TWO, ("scsi0:1", None)),
        (f"{BY_ID}/wwn-0x6000c29000000000000000000000ffff-part1", TWO, ("scsi0:0", 1)),
        (f"{BY_ID}/wwn-0x6000c29000000000000000000000ffff-part1", (*TWO, "scsi0:2"), None),
        (
            f"{BY_ID}/ata-VMware_Virtual_SATA_Hard_Drive_01000000000000000001-part1",
            ("sata0:0", "sata0:1"),
            ("sata0:1", 1),
        ),
        (f"{BY_ID}/ata-VMware_Virtual_IDE_Hard_Drive_10000000000000000001-part1", ("ide0:1", "ide1:0"), ("ide1:0", 1)),
        (f"{BY_ID}/scsi-SATA_VMware_Virtual_00000000000000000001-part1", ("ide0:0", "ide1:0"), ("ide0:0", 1)),
        (f"{BY_ID}/nvme-VMware_Virtual_NVMe_Disk_VMware_NVME_0000-part2", ("nvme0:0", "nvme0:1"), ("nvme0:0", 2)),
        (f"{BY_ID}/nvme-VMware_Virtual_NVMe_Disk_VMware_NVME_0000_2-part2", ("nvme0:0", "nvme0:1"), ("nvme0:1", 2)),
        (f"{BY_ID}/nvme-eui.408173c8ad2775b9000c296a110fad77-part1", ("nvme0:0",), ("nvme0:0", 1)),
        (f"{BY_ID}/ata-VBOX_HARDDISK_VB1234-5678-part1", ("sata0:0",), ("sata0:0", 1)),
        (f"{BY_ID}/ata-VBOX_HARDDISK_VB1234-5678-part1", ("sata0:0", "sata0:1"), None),
        (f"{BY_ID}/virtio-root-part1", ("virtio0:0",), ("virtio0:0", 1)),
        (f"{BY_ID}/usb-Stick-part1", ("scsi0:0",), None),
    ],
)
def test_ids_name_a_disk_by_its_serial_number_or_because_there_is_no_other(name, places, expected):
    assert found(name, *places, wwns={"scsi0:1": WWN}) == expected


DATA = BlockDevice(
    device="/dev/sda1",
    disk="scsi0:0",
    partition=1,
    type="vfat",
    uuid="1A2B-3C4D",
    label="my data",
    part_uuid="6f1b7a1e-0001-4000-8000-000000000001",
    part_label="EFI System",
    size=GIB,
)
VOLUME = BlockDevice(device="/dev/vg-0/root_lv", type="ext4", uuid="aaaa", size=GIB)
UNLOCKED = BlockDevice(device="/dev/mapper/luks-1", type="LVM2_member", size=GIB)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("UUID=1A2B-3C4D", DATA),
        ("UUID=1a2b-3c4d", DATA),
        ('UUID="1A2B-3C4D"', DATA),
        ("LABEL=my data", DATA),
        ("LABEL=MY DATA", None),
        ("PARTUUID=6F1B7A1E-0001-4000-8000-000000000001", DATA),
        ("PARTLABEL=EFI System", DATA),
        ("/dev/disk/by-uuid/1A2B-3C4D", DATA),
        ("/dev/disk/by-label/my\\x20data", DATA),
        ("/dev/disk/by-partlabel/EFI\\x20System", DATA),
        ("/dev/mapper/vg--0-root_lv", VOLUME),
        ("/dev/vg-0/root_lv", VOLUME),
        ("/dev/disk/by-id/dm-name-vg--0-root_lv", VOLUME),
        ("/dev/mapper/luks-1", UNLOCKED),
        ("/dev/mapper/vg-0-root_lv", None),
        ("UUID=", None),
        ("tmpfs", None),
        ("server:/export", None),
    ],
)
def test_names_that_do_not_come_from_the_hardware_are_found(name, expected):
    names = DeviceNames(machine("scsi0:0"), [DATA, VOLUME, UNLOCKED])
    assert names.find(name) == expected
    assert not names.moves(name)


GROUP, LV = "SMFV93kNXMJkvUpMSp2Zg1Xb9kQ2vEDo", "4zKxyfoD0s0kRz7n5VhXm1e8IpjYtCw3"
RAID_UUID, LUKS_UUID = "3f7a0c11:9e5d2b64:c0de1a2b:77f3e901", "b1d95a4e-7c3f-4f60-9a35-0c2d4f8e6a17"
LINKED = [
    VOLUME.replaced(volume_uuid=GROUP + LV),
    VOLUME.replaced(device="/dev/vg-0/var", volume_uuid=GROUP + LV[::-1]),
    UNLOCKED.replaced(device=f"/dev/mapper/luks-{LUKS_UUID}", luks_uuid=LUKS_UUID),
    BlockDevice(device="/dev/md127", type="ext4", size=GIB, raid_uuid=RAID_UUID, raid_name="ubuntu-server:0"),
    BlockDevice(device="/dev/md127p1", disk=None, partition=1, type="xfs", size=GIB),
]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"dm-uuid-LVM-{GROUP}{LV}", "/dev/vg-0/root_lv"),
        (f"dm-uuid-LVM-{GROUP}{LV[::-1]}", "/dev/vg-0/var"),
        (f"dm-uuid-LVM-{LV}{GROUP}", None),
        (f"dm-uuid-LVM-{GROUP}{LV}-cow", None),
        (f"dm-uuid-CRYPT-LUKS2-{LUKS_UUID.replace('-', '')}-dm_crypt-0", f"/dev/mapper/luks-{LUKS_UUID}"),
        (f"dm-uuid-CRYPT-LUKS1-{LUKS_UUID.replace('-', '')}-sda3_crypt", f"/dev/mapper/luks-{LUKS_UUID}"),
        ("dm-uuid-CRYPT-LUKS2-00000000000000000000000000000000-dm_crypt-0", None),
        ("dm-uuid-CRYPT-PLAIN-swap", None),
        (f"md-uuid-{RAID_UUID}", "/dev/md127"),
        (f"md-uuid-{RAID_UUID}-part1", "/dev/md127p1"),
        (f"md-uuid-{RAID_UUID}-part2", None),
        ("md-uuid-00000000:00000000:00000000:00000000", None),
        ("md-name-ubuntu-server:0", "/dev/md127"),
        ("md-name-ubuntu-server:0-part1", "/dev/md127p1"),
        ("md-name-other:0", None),
    ],
)
def test_links_by_what_device_mapper_and_mdadm_know_a_device_by_are_found_and_stay(name, expected):
    names = DeviceNames(machine("scsi0:0"), [DATA, *LINKED])
    found = names.find(f"{BY_ID}/{name}")
    assert (found.device if found else None) == expected
    assert not names.moves(f"{BY_ID}/{name}")


@pytest.mark.parametrize(
    "name",
    [
        "/dev/sda1",
        "/dev/hdc",
        "/dev/vda2",
        "/dev/xvda",
        "/dev/nvme0n1p3",
        f"{PCI}-scsi-0:0:0:0-part1",
        f"{BY_ID}/ata-x",
    ],
)
def test_names_that_come_from_the_hardware_move(name):
    assert DeviceNames(machine("scsi0:0"), []).moves(name)


@pytest.mark.parametrize(
    "name", ["/dev/sr0", "/dev/md0", "/dev/fd0", "/dev/vg/lv", f"{BY_ID}/usb-x", "/swapfile", "none"]
)
def test_other_names_do_not_move(name):
    assert not DeviceNames(machine("scsi0:0"), []).moves(name)


@pytest.mark.parametrize(
    ("left_out", "expected"),
    [
        ((), "UUID=1A2B-3C4D"),
        (("uuid",), "PARTUUID=6f1b7a1e-0001-4000-8000-000000000001"),
        (("uuid", "part_uuid"), "LABEL=my data"),
        (("uuid", "part_uuid", "label"), "PARTLABEL=EFI System"),
        (("uuid", "part_uuid", "label", "part_label"), None),
    ],
)
def test_the_most_stable_id_is_the_name_to_write(left_out, expected):
    device = DATA.replaced(**dict.fromkeys(left_out))
    assert DeviceNames(machine("scsi0:0"), [device]).stable(device) == expected


def test_an_id_that_a_copy_of_the_disk_has_too_is_no_name():
    copy = DATA.replaced(device="/dev/sdb1", disk="scsi0:1", part_uuid="6f1b7a1e-0002-4000-8000-000000000002")
    names = DeviceNames(machine(*TWO), [DATA, copy])
    assert names.stable(DATA) == f"PARTUUID={DATA.part_uuid}"
    assert names.stable(copy) == f"PARTUUID={copy.part_uuid}"


def test_the_devices_of_one_btrfs_share_its_uuid():
    first, second = (DATA.replaced(device=f"/dev/sd{letter}1", type="btrfs", uuid="f00d") for letter in "ab")
    assert DeviceNames(machine(*TWO), [first, second]).stable(second) == "UUID=f00d"


@pytest.mark.parametrize(("index", "name"), [(0, "/dev/sda"), (25, "/dev/sdz"), (26, "/dev/sdaa"), (701, "/dev/sdzz")])
def test_disks_are_lettered_as_the_kernel_does(index, name):
    assert disk_name(index) == name
    places = [f"scsi{number // 15}:{number % 15}" for number in range(60)]
    if index < len(places):
        assert found(f"{name}1", *places) == (places[index], 1)


def test_a_disk_is_not_a_volume_on_it():
    volume = BlockDevice(device="/dev/vg/root", disk="scsi0:0", type="ext4", size=GIB, uuid="aaaa")
    names = DeviceNames(machine("scsi0:0"), [*partitions("scsi0:0"), volume])
    assert names.find("/dev/sda").device == "/dev/sda"
