"""A guest's disks as VMware gives them away: a VMX folder with a snapshot chain, and an OVA with a manifest."""

import hashlib
import io
import re
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from string import Template

from lab.guests.disks import qemu_img, run
from lab.guests.sample import SampleGuest
from lab.guests.streamvmdk import write_stream

SUBFORMATS = ("monolithicSparse", "monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat")
"""What VMware calls `createType`, of disks whose extents are files beside the descriptor, or in one file with it."""

_TEMPLATES = Path(__file__).parent / "templates"
_NVRAM = {"bios": 8684, "efi": 270840}
"""Bytes of the file in which ESXi keeps the settings of the firmware."""
_CID = re.compile(rb"(?<=\nCID=)[0-9a-f]{1,8}(?=\n)")
"""The content id, of which qemu writes no leading zero."""
_DESCRIPTOR = 64 * 1024
"""Bytes at a VMDK's start that hold its descriptor, whether alone or behind a sparse header."""
_CLUSTER = 64 * 1024


def start_vmx(guest: SampleGuest, subformat: str) -> Path:
    """The folder, with a new and empty snapshot of the system disk, whose path is returned.

    The system disk's base is of `subformat`; the data disk is cut into extents.
    """
    guest.vmx.mkdir()
    system, second = guest.disks
    base, newest = f"{guest.name}.vmdk", f"{guest.name}-000001.vmdk"
    _vmdk(system, guest.vmx / base, subformat)
    _vmdk(second, guest.vmx / f"{guest.name}_1.vmdk", "twoGbMaxExtentSparse")
    qemu_img("create", "-q", "-f", "vmdk", "-b", base, "-F", "vmdk", newest, folder=guest.vmx)
    values = _values(guest) | {"disk": newest}
    for kind in ("vmx", "vmsd"):
        (guest.vmx / f"{guest.name}.{kind}").write_text(_filled(f"machine.{kind}", values))
    (guest.vmx / f"{guest.name}.nvram").write_bytes(_nvram(guest))
    return guest.vmx / newest


def write_changes(before: Path, after: Path, newest: Path) -> None:
    """Make the empty snapshot `newest` of the raw image `before` hold what differs in `after`."""
    commands = []
    for offset, content in _differences(before, after):
        changed = newest.with_name(f"{offset}.changed")
        changed.write_bytes(content)
        commands += ["-c", f"write -q -s {changed.name} {offset} {len(content)}"]
    run(["qemu-io", "-f", "vmdk", *commands, newest.name], folder=newest.parent)
    for changed in newest.parent.glob("*.changed"):
        changed.unlink()


def write_variant(guest: SampleGuest, folder: Path, subformat: str) -> Path:
    """A copy of the VMX folder, in which the base of the system disk is of another subformat. The snapshot stays."""
    base = guest.vmx / f"{guest.name}.vmdk"
    folder.mkdir()
    for path in guest.vmx.iterdir():
        if path != base and path.name != f"{guest.name}-flat.vmdk":
            shutil.copy(path, folder)
    target = folder / base.name
    qemu_img("convert", "-f", "vmdk", "-O", "vmdk", "-o", _options(subformat), base, target.name, folder=folder)
    # A snapshot names the content that it was taken of by this number.
    _give_cid(target, _cid(base)[0])
    return folder


def write_ova(guest: SampleGuest, scratch: Path) -> None:
    """An OVA as ESXi's export writes it: descriptor, manifest, then the files in the order of the references."""
    files = {f"{guest.name}-disk{number}.vmdk": raw for number, raw in enumerate(guest.disks, start=1)}
    values = _values(guest)
    for number, (name, raw) in enumerate(files.items(), start=1):
        write_stream(raw, scratch / name)
        values |= {f"size{number}": str((scratch / name).stat().st_size), f"capacity{number}": str(raw.stat().st_size)}
        values |= {f"populated{number}": str(raw.stat().st_blocks * 512)}
    nvram = f"{guest.name}-file1.nvram"
    (scratch / nvram).write_bytes(_nvram(guest))
    values |= {"nvramSize": str(_NVRAM[guest.firmware])}
    descriptor = f"{guest.name}.ovf"
    (scratch / descriptor).write_text(_filled("machine.ovf", values))
    names = [descriptor, *files, nvram]
    manifest = "".join(f"SHA256({name})= {_sha256(scratch / name)}\n" for name in names).encode()
    with tarfile.open(guest.ova, "w", format=tarfile.USTAR_FORMAT) as archive:
        archive.add(scratch / descriptor, descriptor)
        entry = tarfile.TarInfo(f"{guest.name}.mf")
        entry.size = len(manifest)
        archive.addfile(entry, io.BytesIO(manifest))
        for name in names[1:]:
            archive.add(scratch / name, name)
    for name in names:
        (scratch / name).unlink()


def _values(guest: SampleGuest) -> dict[str, str]:
    secure_boot = "TRUE" if guest.firmware == "efi" else "FALSE"
    return {"name": guest.name, "firmware": guest.firmware, "secureBoot": secure_boot, "mac": guest.mac}


def _nvram(guest: SampleGuest) -> bytes:
    return b"MRVN".ljust(_NVRAM[guest.firmware], b"\0")


def _vmdk(raw: Path, target: Path, subformat: str) -> None:
    qemu_img("convert", "-f", "raw", "-O", "vmdk", "-o", _options(subformat), raw, target.name, folder=target.parent)


def _options(subformat: str) -> str:
    return f"subformat={subformat},adapter_type=lsilogic"


def _cid(vmdk: Path) -> re.Match[bytes]:
    """The content id of a VMDK, and where it stands."""
    with vmdk.open("rb") as file:
        found = _CID.search(file.read(_DESCRIPTOR))
    if found is None:
        raise ValueError(f"{vmdk} has no descriptor at its start")
    return found


def _give_cid(vmdk: Path, cid: bytes) -> None:
    """Write another content id. A descriptor inside of a sparse file goes on taking the room that it took."""
    old = _cid(vmdk)
    end = old.string.find(b"\0", old.end())
    text = cid + old.string[old.end() : None if end < 0 else end]
    with vmdk.open("r+b") as file:
        file.seek(old.start())
        file.write(text if end < 0 else text.ljust(end - old.start(), b"\0"))
        if end < 0:
            file.truncate()


def _differences(before: Path, after: Path) -> Iterator[tuple[int, bytes]]:
    with before.open("rb") as old, after.open("rb") as new:
        offset = 0
        while content := new.read(_CLUSTER):
            if content != old.read(_CLUSTER):
                yield offset, content
            offset += len(content)


def _filled(template: str, values: dict[str, str]) -> str:
    return Template((_TEMPLATES / template).read_text()).substitute(values)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
