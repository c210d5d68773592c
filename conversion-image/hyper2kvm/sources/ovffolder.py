"""An OVF folder: a descriptor with its files beside it."""

import threading
from pathlib import Path

from hyper2kvm.disk.location import FileRegion, beside
from hyper2kvm.events import Events
from hyper2kvm.sources.description import Fetched
from hyper2kvm.sources.folder import parts_of, read_bytes, read_text
from hyper2kvm.sources.limits import within_limits
from hyper2kvm.sources.ovf import MAX_OVF, OvfMachine, parse_ovf
from hyper2kvm.sources.ovfmanifest import MAX_MANIFEST, Manifest
from hyper2kvm.sources.ovfpackage import Package
from hyper2kvm_api.errors import ImageError, SourceError
from hyper2kvm_api.reasons import Reason


class OvfFolder:
    """A virtual machine that an .ovf file describes."""

    def __init__(self, ovf: Path) -> None:
        """`ovf` is the descriptor."""
        self._ovf = ovf.absolute()
        self._folder = str(self._ovf.parent)

    def fetch(self, events: Events, stop: threading.Event) -> Fetched:
        """See Source."""
        with within_limits(self._ovf.name):
            machine = parse_ovf(read_bytes(str(self._ovf), MAX_OVF), self._ovf.name)
            package = Package(self._ovf.name, machine, self._files(machine), siblings=self._folder)
            disks = package.disks()
            described = package.describe(disks)
            verified = self._verified(package, events, stop)
            paths = [str(self._ovf), *(path for disk in disks for path in disk.files)]
            return Fetched(machine=described, disks=disks, parts=parts_of(paths), verified=verified)

    def _files(self, machine: OvfMachine) -> dict[str, FileRegion]:
        return {name: self._region(name) for name in (self._ovf.name, *(file.name for file in machine.files))}

    def _region(self, name: str) -> FileRegion:
        try:
            return beside(self._folder, name, Reason.EXTENT_MISSING, "the file")
        except ImageError as error:
            if error.reason is not Reason.EXTENT_MISSING:
                raise
            message = f"{self._ovf.name} names {name}, which is not there"
            raise SourceError(Reason.ARCHIVE_INCOMPLETE, message, file=name) from None

    def _verified(self, package: Package, events: Events, stop: threading.Event) -> tuple[str, ...]:
        path = self._ovf.with_suffix(".mf")
        if path.is_symlink():
            raise SourceError(Reason.ARCHIVE_UNSAFE, f"{path} is a link, which is not followed", file=path.name)
        if not path.exists():
            return ()
        manifest = Manifest.parse(read_text(str(path), MAX_MANIFEST), path.name)
        manifest.check_lists(package.names)
        files = {name: package.files.get(name) or self._region(name) for name in manifest.digests}
        return manifest.verify(files, events, stop)
