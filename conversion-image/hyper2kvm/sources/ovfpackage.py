"""What an OVA and an OVF folder have in common: a descriptor, a manifest, and files by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from hyper2kvm.disk.graph import capacity_and_name
from hyper2kvm.sources.description import FileRegion, SourceDisk
from hyper2kvm.sources.image import EXTENSIONS
from hyper2kvm.sources.ovf import OvfDisk, OvfMachine
from hyper2kvm.sources.place import disk_id
from hyper2kvm.sources.vmx import DISK_ORDER
from hyper2kvm_api.errors import Hyper2kvmError, ImageError, SourceError
from hyper2kvm_api.machine import Machine, MachineDisk
from hyper2kvm_api.migration import ImageFormat
from hyper2kvm_api.reasons import Reason


@dataclass(frozen=True)
class Package:
    """An OVF package.

    Attributes:
        name: name of its descriptor.
        machine: what the descriptor says.
        files: every file of the package by name.
        siblings: folder of the files, when they are files of a folder.
    """

    name: str
    machine: OvfMachine
    files: Mapping[str, FileRegion]
    siblings: str | None

    def disks(self) -> tuple[SourceDisk, ...]:
        """The images of the machine's disks, in the order in which the guest's kernel numbers them.

        Raises:
            SourceError: ArchiveIncomplete, when a file is missing or a disk image is not listed.
            ImageError: ImageUnsupported, when a disk is compressed as a whole.
        """
        self._check_files()
        ordered = sorted(self.machine.disks, key=lambda d: (DISK_ORDER.index(d.bus), d.controller, d.unit))
        return tuple(self._source(disk) for disk in ordered)

    def describe(self, sources: tuple[SourceDisk, ...]) -> Machine:
        """The machine; the disks' sizes are those of their images, which must be what the descriptor says.

        Raises:
            SourceError: MachineDescriptionInvalid.
            ImageError: an image is damaged or not supported.
        """
        told = self.machine
        by_id = {disk_id(disk.bus, disk.controller, disk.unit): disk for disk in told.disks}
        return Machine(
            name=told.name,
            cpu=told.cpu,
            memory=told.memory,
            firmware=told.firmware,
            secure_boot=told.secure_boot,
            tpm=told.tpm,
            guest_os=told.guest_os,
            disks=tuple(self._machine_disk(source, by_id[source.id]) for source in sources),
            nics=told.nics,
        )

    def _check_files(self) -> None:
        listed = {file.name for file in self.machine.files}
        for file in self.machine.files:
            region = self.files.get(file.name)
            if region is None:
                raise SourceError(Reason.ARCHIVE_INCOMPLETE, f"{self.name} names {file.name}, which is not there")
            if file.size is not None and file.size != region.length:
                raise SourceError(
                    Reason.ARCHIVE_INCOMPLETE, f"{file.name} has {region.length} bytes, {self.name} says {file.size}"
                )
        if self.siblings is None:
            extra = [name for name in self.files if PurePosixPath(name).suffix.lower() in EXTENSIONS]
            unlisted = sorted(set(extra) - listed)
            if unlisted:
                raise SourceError(Reason.ARCHIVE_INCOMPLETE, f"{self.name} does not list the disk {unlisted[0]}")

    def _source(self, disk: OvfDisk) -> SourceDisk:
        if disk.file.compressed:
            raise ImageError(
                Reason.IMAGE_UNSUPPORTED,
                f"{disk.file.name} is compressed or cut into chunks as a whole",
                hint="Export it again without compression of the files (ovftool: leave out --compress and --chunkSize).",
                file=disk.file.name,
            )
        return SourceDisk(
            id=disk_id(disk.bus, disk.controller, disk.unit),
            format=EXTENSIONS.get(PurePosixPath(disk.file.name).suffix.lower(), ImageFormat.VMDK),
            region=self.files[disk.file.name],
            siblings=self.siblings,
        )

    def _machine_disk(self, source: SourceDisk, disk: OvfDisk) -> MachineDisk:
        try:
            facts = capacity_and_name(source)
        except Hyper2kvmError as error:
            error.disk = source.id
            raise
        if facts.capacity != disk.capacity:
            raise SourceError(
                Reason.MACHINE_DESCRIPTION_INVALID,
                f"{disk.file.name} is a disk of {facts.capacity} bytes, {self.name} says {disk.capacity}",
                disk=source.id,
            )
        return MachineDisk(
            id=source.id,
            bus=disk.bus,
            controller=disk.controller,
            unit=disk.unit,
            capacity=facts.capacity,
            format=source.format,
            file=disk.file.name,
            wwn=facts.wwn,
        )
