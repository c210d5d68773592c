"""A guest's disks as VMware gives them away: a VMX folder with a snapshot chain, and an OVA with a manifest."""

import hashlib
import io
import tarfile
from pathlib import Path
from string import Template

from lab.guests.disks import DATA_MIB, SYSTEM_MIB, qemu_img
from lab.guests.sample import SampleGuest

_TEMPLATES = Path(__file__).parent / "templates"


def start_vmx(guest: SampleGuest) -> tuple[Path, Path]:
    """The folder with the base disks and a new, empty snapshot. Paths of the snapshot and of the data disk."""
    guest.vmx.mkdir()
    system, second = guest.disks
    base, newest = f"{guest.name}.vmdk", f"{guest.name}-000001.vmdk"
    flat = "monolithicFlat" if guest.firmware == "efi" else "monolithicSparse"
    _vmdk(system, guest.vmx / base, flat)
    _vmdk(second, guest.vmx / f"{guest.name}_1.vmdk", "twoGbMaxExtentSparse")
    qemu_img("create", "-q", "-f", "vmdk", "-b", base, "-F", "vmdk", newest, folder=guest.vmx)
    values = {"name": guest.name, "firmware": guest.firmware, "mac": guest.mac, "disk": newest}
    (guest.vmx / f"{guest.name}.vmx").write_text(_filled("machine.vmx", values))
    return guest.vmx / newest, guest.vmx / f"{guest.name}_1.vmdk"


def write_ova(guest: SampleGuest, scratch: Path) -> None:
    """An OVA as ESXi's export writes it: descriptor first, then the manifest, then the disks in their order."""
    disks = {f"{guest.name}-disk{number}.vmdk": raw for number, raw in enumerate(guest.disks, start=1)}
    for name, raw in disks.items():
        _vmdk(raw, scratch / name, "streamOptimized")
    sizes = {f"size{number}": str((scratch / name).stat().st_size) for number, name in enumerate(disks, start=1)}
    capacities = {"capacity1": str(SYSTEM_MIB << 20), "capacity2": str(DATA_MIB << 20)}
    values = {"name": guest.name, "firmware": guest.firmware, "mac": guest.mac, **sizes, **capacities}
    descriptor = f"{guest.name}.ovf"
    (scratch / descriptor).write_text(_filled("machine.ovf", values))
    names = [descriptor, *disks]
    manifest = "".join(f"SHA256({name})= {_sha256(scratch / name)}\n" for name in names).encode()
    with tarfile.open(guest.ova, "w", format=tarfile.USTAR_FORMAT) as archive:
        archive.add(scratch / descriptor, descriptor)
        entry = tarfile.TarInfo(f"{guest.name}.mf")
        entry.size = len(manifest)
        archive.addfile(entry, io.BytesIO(manifest))
        for name in disks:
            archive.add(scratch / name, name)
            (scratch / name).unlink()


def _vmdk(raw: Path, target: Path, subformat: str) -> None:
    adapter = f"subformat={subformat},adapter_type=lsilogic"
    qemu_img("convert", "-f", "raw", "-O", "vmdk", "-o", adapter, raw, target.name, folder=target.parent)


def _filled(template: str, values: dict[str, str]) -> str:
    return Template((_TEMPLATES / template).read_text()).substitute(values)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
