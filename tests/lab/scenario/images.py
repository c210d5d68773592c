"""Disk images of noise: nothing in them is repaired, and their copy can be compared with them."""

import os
import random
from pathlib import Path

from hyper2kvm.run import run
from lab.guests.exports import write_ova
from lab.guests.sample import SampleGuest

_MIB = 1 << 20

FORMATS = {".qcow2": "qcow2", ".raw": "raw", ".vmdk": "vmdk", ".vhd": "vpc", ".vhdx": "vhdx", ".vdi": "vdi"}
"""Suffix of a disk image → what qemu-img calls its format."""

_OPTIONS = {".vhd": ("-o", "force_size=on")}
"""Without it qemu-img rounds the size of a VHD up to what cylinders, heads and sectors can say."""


def disk_image(path: Path, *, size: int, data: int, boot_record: bool = False) -> Path:
    """A disk image whose first `data` MiB are noise, the same each time; sizes in MiB, format by suffix."""
    raw = path.with_suffix(".noise")
    noise = random.Random(data)
    with raw.open("wb") as file:
        for _ in range(data):
            file.write(noise.randbytes(_MIB))
        if boot_record:
            file.seek(510)
            file.write(b"\x55\xaa")
    os.truncate(raw, size * _MIB)
    kind = ("-O", FORMATS[path.suffix], *_OPTIONS.get(path.suffix, ()))
    run(["qemu-img", "convert", "-f", "raw", *kind, str(raw), str(path)], deadline=120)
    raw.unlink()
    return path


def dull_guest(folder: Path, *, data: int, mac: str = "00:50:56:9a:40:01") -> SampleGuest:
    """A guest without a system, as OVA with a manifest, in a new folder; `data` MiB are what its first disk holds."""
    folder.mkdir()
    guest = SampleGuest(
        name="dull",
        firmware="bios",
        interface="ens192",
        address="192.0.2.40/24",
        mac=mac,
        files={},
        marker="",
        folder=folder,
    )
    for disk, size in zip(guest.disks, (data, 8), strict=True):
        disk_image(disk, size=size, data=size)
    write_ova(guest, folder)
    for disk in guest.disks:
        disk.unlink()
    return guest


def unpacked(ova: Path, folder: Path) -> list[Path]:
    """The files of an OVA in a new folder, by name."""
    folder.mkdir()
    run(["tar", "--extract", "--no-same-owner", f"--file={ova}", f"--directory={folder}"], deadline=120)
    return sorted(folder.iterdir())
