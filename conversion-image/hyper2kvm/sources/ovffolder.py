"""An OVF folder: a descriptor with its files beside it."""

from pathlib import Path

from hyper2kvm.disk.graph import region_of, source_files
from hyper2kvm.sources.description import Fetched, FileRegion
from hyper2kvm.sources.folder import fetched_files, read_bytes, read_text
from hyper2kvm.sources.limits import within_limits
from hyper2kvm.sources.ovf import MAX_OVF, OvfMachine, parse_ovf
from hyper2kvm.sources.ovfmanifest import MAX_MANIFEST, parse_manifest, verify
from hyper2kvm.sources.ovfpackage import Package
from hyper2kvm_api.errors import SourceError
from hyper2kvm_api.reasons import Reason


class OvfFolder:
    """A virtual machine that an .ovf file describes."""

    def __init__(self, ovf: Path) -> None:
        """`ovf` is the descriptor."""
        self._ovf = ovf.absolute()

    def fetch(self) -> Fetched:
        """See Source."""
        with within_limits(self._ovf.name):
            return self._fetch(self._ovf.name)

    def _fetch(self, name: str) -> Fetched:
        machine = parse_ovf(read_bytes(self._ovf, MAX_OVF), name)
        package = Package(name, machine, self._files(machine), siblings=str(self._ovf.parent))
        disks = package.disks()
        verified = self._verified()
        paths = [str(self._ovf), *(path for disk in disks for path in source_files(disk))]
        return Fetched(machine=package.describe(disks), disks=disks, files=fetched_files(paths), verified=verified)

    def _files(self, machine: OvfMachine) -> dict[str, FileRegion]:
        return {file.name: self._region(file.name) for file in machine.files}

    def _region(self, name: str) -> FileRegion:
        try:
            there = (self._ovf.parent / name).exists()
        except OSError:  # such as a name that no file system takes
            there = False
        if not there:
            raise SourceError(
                Reason.ARCHIVE_INCOMPLETE, f"{self._ovf.name} names {name}, which is not there", file=name
            )
        return region_of(str(self._ovf.parent), name, Reason.EXTENT_MISSING, "the file")

    def _verified(self) -> tuple[str, ...]:
        manifest = self._ovf.with_suffix(".mf")
        if not manifest.is_file():
            return ()
        digests = parse_manifest(read_text(manifest, MAX_MANIFEST), manifest.name)
        unsafe = next((name for name in digests if "/" in name or name in {".", ".."}), None)
        if unsafe is not None:
            raise SourceError(Reason.ARCHIVE_UNSAFE, f"{manifest.name} names {unsafe!r}", file=manifest.name)
        return verify(digests, {name: self._region(name) for name in digests}, manifest.name)
