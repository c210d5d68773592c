import os
from pathlib import Path

import pytest
from defusedxml.ElementTree import fromstring as parse

from hyper2kvm.domain import DomainDisk, domain_xml
from hyper2kvm_api.machine import Cpu, DiskBus, Firmware, Machine, MachineDisk, Nic
from hyper2kvm_api.options import Compression, DiskFormat, NicModel, TargetBus
from hyper2kvm_api.plan import PlannedDisk

GOLDEN = Path(__file__).parent / "domains"
UUID = "564d1a2b-0000-1111-2222-333344445555"


def make_machine(**fields: object) -> Machine:
    made = {
        "name": "Web server 01",
        "cpu": Cpu(sockets=2, cores=4, threads=1),
        "memory": 3 * 2**30,
        "uuid": UUID.upper(),
        "nics": (
            Nic(id="ethernet0", mac="00:50:56:AA:BB:01", model="vmxnet3"),
            Nic(id="ethernet1", mac="00:50:56:aa:bb:02", connected=False),
        ),
        "disks": (
            MachineDisk(
                id="scsi0:0", bus=DiskBus.SCSI, controller=0, unit=0, capacity=2**30, format="vmdk", file="a.vmdk"
            ),
        ),
    }
    return Machine.model_validate(made | fields)


def make_disk(
    unit: int, bus: TargetBus = TargetBus.VIRTIO, format_: DiskFormat = DiskFormat.RAW, target: str | None = None
) -> DomainDisk:
    planned = PlannedDisk(
        id=f"scsi0:{unit}",
        capacity=2**30,
        target=target or f"/var/lib/vms/web01-{unit}.{format_}",
        format=format_,
        compression=Compression.NONE,
        bus=bus,
        serial=f"h2k-{unit}",
    )
    return DomainDisk(planned, block=target is not None)


def make_xml(
    *disks: DomainDisk,
    machine: Machine | None = None,
    firmware: Firmware = Firmware.BIOS,
    boot_disk: str | None = "scsi0:1",
    name: str = "web01",
    network_model: NicModel = NicModel.VIRTIO,
) -> str:
    return domain_xml(name, machine or make_machine(), firmware, boot_disk, disks or (make_disk(0),), network_model)


DOMAINS = {
    "bios": make_xml(make_disk(0), make_disk(1, format_=DiskFormat.QCOW2)),
    "uefi": make_xml(
        make_disk(0, TargetBus.SCSI), make_disk(1, TargetBus.SATA, target="/dev/vg0/web01"), firmware=Firmware.UEFI
    ),
    "secure-boot": make_xml(
        make_disk(0, format_=DiskFormat.VDI), firmware=Firmware.UEFI, machine=make_machine(secure_boot=True)
    ),
    "copied": make_xml(make_disk(0, TargetBus.SATA), network_model=NicModel.E1000E),
    "tpm": make_xml(firmware=Firmware.UEFI, machine=make_machine(tpm=True, secure_boot=True)),
}


@pytest.mark.parametrize("name", DOMAINS)
def test_domains_are_as_recorded(name):
    """With REGENERATE=1 in the environment the records are written anew: read their diff."""
    record = GOLDEN / f"{name}.xml"
    if os.environ.get("REGENERATE"):
        GOLDEN.mkdir(exist_ok=True)
        record.write_text(DOMAINS[name])
    assert record.read_text() == DOMAINS[name]


@pytest.mark.parametrize("name", DOMAINS)
def test_virsh_defines_them(name, virsh):
    defined = virsh.define(DOMAINS[name])
    assert defined.returncode == 0, defined.stderr
    kept = parse(virsh("dumpxml", "--inactive", "web01").stdout)
    assert kept.findtext("uuid") == UUID
    assert kept.findtext("memory") == str(3 * 2**20)
    assert kept.findtext("title") == "Web server 01"


def test_the_boot_disk_is_first_in_the_boot_order():
    devices = parse(make_xml(make_disk(0), make_disk(1), make_disk(2)))
    orders = [disk.find("boot").get("order") for disk in devices.iter("disk")]
    assert orders == ["2", "1", "3"]


def test_without_a_known_boot_disk_the_first_is_first():
    devices = parse(make_xml(make_disk(0), make_disk(1), boot_disk=None))
    assert [disk.find("boot").get("order") for disk in devices.iter("disk")] == ["1", "2"]


def test_names_of_disks_do_not_collide_between_buses():
    buses = (TargetBus.SCSI, TargetBus.SATA, TargetBus.VIRTIO)
    devices = parse(make_xml(*(make_disk(n, buses[n % 3]) for n in range(60))))
    names = [disk.find("target").get("dev") for disk in devices.iter("disk")]
    assert len(set(names)) == 60
    assert {"sda", "sdz", "sdaa", "sdan", "vda", "vdt"} <= set(names)


@pytest.mark.parametrize("uuid", [None, "", "none of the kind"])
def test_a_machine_without_a_uuid_gets_the_same_one_each_time(uuid):
    first, second = (make_xml(machine=make_machine(uuid=uuid)) for _ in range(2))
    assert first == second
    assert parse(first).findtext("uuid") != parse(make_xml(machine=make_machine(uuid=uuid), name="web02")).findtext(
        "uuid"
    )


def test_names_from_the_source_cannot_break_the_document():
    title = 'evil\x00\x07\n</title><devices/>&"\ud800'.encode("utf-8", "replace").decode()
    found = parse(make_xml(machine=make_machine(name=title)))
    assert len(found.findall("devices")) == 1
    assert "</title><devices/>" in (found.findtext("title") or "")
    assert "\n" not in (found.findtext("title") or "")
