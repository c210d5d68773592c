"""Plan: everything the pipeline needs to know, resolved. The operator writes it, `h2k run` reads it."""

from typing import Literal, Self

from pydantic import Field

from hyper2kvm_api.devices import FOR_COPIED, FOR_REPAIRED, Devices
from hyper2kvm_api.document import Document
from hyper2kvm_api.machine import Machine
from hyper2kvm_api.migration import ImageFormat, Mode
from hyper2kvm_api.options import Compression, DiskFormat, GuestOptions, NicModel, TargetBus


class PlannedSource(Document):
    """Where the source's files lie on this machine."""

    path: str = Field(pattern=r"^/")
    """Absolute path of the folder or file."""
    format: ImageFormat | None = None
    """Format of a single image; from the file's extension when absent."""


class PlannedDisk(Document):
    """One disk to produce."""

    id: str
    """The disk's id in the Machine."""
    capacity: int = Field(gt=0)
    """Virtual size in bytes."""
    target: str = Field(pattern=r"^/")
    """Absolute path of the file or block device to write."""
    format: DiskFormat
    """Format of the target."""
    compression: Compression
    """Compression of a qcow2 target."""
    bus: TargetBus
    """Bus of the disk in the target."""
    serial: str = Field(max_length=20)
    """Serial number the target presents: `/dev/disk/by-id/virtio-<serial>` in the guest."""


class PlannedBoot(Document):
    """The boot check."""

    enabled: bool
    """Whether to start the guest."""
    timeout: int = Field(gt=0)
    """Seconds that the guest may take."""
    memory: int = Field(default=2 * 1024**3, gt=0)
    """The most bytes of memory that the guest is started with."""


class Plan(Document):
    """A migration, resolved for one virtual machine and one place."""

    version: Literal[1] = 1
    """Version of this document's form."""
    name: str
    """Name of the migration."""
    namespace: str
    """Namespace of the migration."""
    mode: Mode
    """Migrate, or Plan: nothing but documents is written."""
    source: PlannedSource
    """Where the source lies."""
    machine: Machine
    """The target's hardware: the source's with the user's overrides, and a MAC address for every adapter."""
    disks: tuple[PlannedDisk, ...] = Field(min_length=1)
    """The disks, in the machine's order."""
    network_model: NicModel = FOR_REPAIRED.network_model
    """Model of the network adapters in the target."""
    copied: Devices = FOR_COPIED
    """The devices in their place where the guest is copied unchanged."""
    guest: GuestOptions
    """What may be changed inside the guest."""
    keys_folder: str | None = None
    """Absolute path of the folder whose files are tried as keys of encrypted disks."""
    owner: int | None = Field(default=None, ge=0)
    """uid and gid that finished files are given; as the process makes them when absent."""
    boot: PlannedBoot
    """The boot check."""
    domain_xml: str | None = Field(default=None, pattern=r"^/")
    """Absolute path of the libvirt domain to write beside the disks; none when absent."""

    def content(self, told: Machine) -> bytes:
        """One byte string for plans by which the same is written to the targets.

        Processors, memory and TPM are the virtual machine's alone.

        Args:
            told: the machine as the source describes it.
        """
        machine = self.machine.replaced(cpu=told.cpu, memory=told.memory, tpm=told.tpm)
        return self.replaced(machine=machine).canonical("machine", "disks", "network_model", "guest")

    def for_guest(self, *, repaired: bool) -> Self:
        """The plan with the devices that the guest gets: FIX has repaired it, or it is copied unchanged."""
        if repaired:
            return self
        disks = tuple(disk.replaced(bus=self.copied.bus) for disk in self.disks)
        return self.replaced(disks=disks, network_model=self.copied.network_model)
