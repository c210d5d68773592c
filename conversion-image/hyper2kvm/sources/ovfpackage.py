"""What an OVA and an OVF folder have in common: a descriptor, a manifest, and files by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from hyper2kvm.disk.image import SourceDisk, examine_disk
from hyper2kvm.disk.location import FileRegion
from hyper2kvm.sources.image import EXTENSIONS
from hyper2kvm.sources.ovf import OvfDisk, OvfMachine
from hyper2kvm.sources.place import machine_disk
from hyper2kvm_api.errors import ImageError, SourceError
from hyper2kvm_api.machine import Machine
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

    @property
    def names(self) -> tuple[str, ...]:
        """The descriptor, and every file that it names."""
        return tuple(dict.fromkeys((self.name, *(file.name for file in self.machine.files))))

    def disks(self) -> tuple[SourceDisk, ...]:
        """The images of the machine's disks, in the order in which the guest's kernel numbers them.

        Raises:
            SourceError: ArchiveIncomplete, when a file is missing or a disk image is not listed;
                MachineDescriptionInvalid, when an image has another size than the descriptor says.
            ImageError: an image is damaged or not supported, or compressed as a whole.
        """
        self._check_files()
        return tuple(self._source(disk) for disk in self._ordered())

    def describe(self, sources: tuple[SourceDisk, ...]) -> Machine:
        """The machine with these images."""
        told = self.machine
        disks = self._ordered()
        return Machine(
            name=told.name,
            cpu=told.cpu,
            memory=told.memory,
            firmware=told.firmware,
            secure_boot=told.secure_boot,
            tpm=told.tpm,
            guest_os=told.guest_os,
            disks=tuple(
                machine_disk(disk.place, source, disk.file.name) for source, disk in zip(sources, disks, strict=True)
            ),
            boot_order=told.boot_order,
            nics=told.nics,
        )

    def _ordered(self) -> list[OvfDisk]:
        return sorted(self.machine.disks, key=lambda disk: disk.place.rank)

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
        source = examine_disk(
            disk.place.disk,
            EXTENSIONS.get(PurePosixPath(disk.file.name).suffix.lower(), ImageFormat.VMDK),
            self.files[disk.file.name],
            siblings=self.siblings,
        )
        if source.capacity != disk.capacity:
            raise SourceError(
                Reason.MACHINE_DESCRIPTION_INVALID,
                f"{disk.file.name} is a disk of {source.capacity} bytes, {self.name} says {disk.capacity}",
                disk=source.id,
            )
        return source
