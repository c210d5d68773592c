"""Machines, disks and pictures that the tests of the boot check share."""

import struct
import zlib
from pathlib import Path

from hyper2kvm.boot.check import Candidate
from hyper2kvm.boot.screen import Picture
from hyper2kvm.disk.finished import TargetDisk
from hyper2kvm.guest.description import Guest, InterfaceConfig
from hyper2kvm_api.machine import DiskBus, Firmware, Machine, MachineDisk, Nic
from hyper2kvm_api.options import DiskFormat, TargetBus

MAC = "52:54:00:aa:bb:01"
SCREENS = Path(__file__).parent / "screens"


def make_machine(disks: int = 1, **fields: object) -> Machine:
    made = {
        "name": "web01",
        "memory": 512 * 2**20,
        "nics": (Nic(id="ethernet0", mac=MAC),),
        "disks": tuple(
            MachineDisk(
                id=f"scsi0:{unit}",
                bus=DiskBus.SCSI,
                controller=0,
                unit=unit,
                capacity=2**20,
                format="vmdk",
                file="web01.vmdk",
            )
            for unit in range(disks)
        ),
    }
    return Machine.model_validate(made | fields)


def make_guest(firmware: Firmware = Firmware.BIOS, **fields: object) -> Guest:
    made = {"os": None, "root": None, "boot_disk": "scsi0:0", "firmware": firmware}
    return Guest.model_validate(made | fields)


def make_disk(path: Path, unit: int = 0, bus: TargetBus = TargetBus.VIRTIO) -> TargetDisk:
    return TargetDisk(f"scsi0:{unit}", path, DiskFormat.RAW, path.stat().st_size, bus, f"h2k-{unit}")


def make_candidate(path: Path, guest: Guest | None = None, timeout: float = 60) -> Candidate:
    return Candidate(make_machine(), (make_disk(path),), guest or make_guest(), timeout, memory=2**30)


def static(address: str, mac: str | None = None) -> InterfaceConfig:
    return InterfaceConfig(
        back_end="ifupdown", file="/etc/network/interfaces", name="ens192", mac=mac, addresses=(address,)
    )


def dynamic(name: str | None, mac: str | None = None) -> InterfaceConfig:
    return InterfaceConfig(back_end="networkd", file="/etc/systemd/network/a.network", name=name, mac=mac, dhcp=True)


def load_screen(name: str) -> Picture:
    """A recorded screen; the records are PNG without filters, as boot/screen.py writes them."""
    content = (SCREENS / f"{name}.png").read_bytes()
    width, height = struct.unpack(">II", content[16:24])
    start = content.index(b"IDAT") + 4
    (length,) = struct.unpack(">I", content[start - 8 : start - 4])
    rows = zlib.decompress(content[start : start + length])
    stride = 3 * width + 1
    return Picture(width, height, b"".join(rows[y * stride + 1 : (y + 1) * stride] for y in range(height)))
