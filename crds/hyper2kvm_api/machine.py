"""Machine: the hardware of a virtual machine as its source describes it, free of any hypervisor's notation."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from hyper2kvm_api.document import Document
from hyper2kvm_api.scalars import MacAddress

MAX_BYTES = 2**60
"""1 EiB. The API server reads a schema's bounds as floats: one of 2**63 - 1 would become a negative number there."""

Number = Annotated[int, Field(ge=0, le=2**31 - 1)]
Bytes = Annotated[int, Field(ge=1, le=MAX_BYTES)]


class Firmware(StrEnum):
    """What starts the boot loader."""

    BIOS = "bios"
    UEFI = "uefi"


class DiskBus(StrEnum):
    """The kind of controller a disk hangs on."""

    SCSI = "scsi"
    SATA = "sata"
    IDE = "ide"
    NVME = "nvme"
    VIRTIO = "virtio"


class Cpu(Document):
    """Processors and how they are grouped. The number of virtual CPUs is sockets x cores x threads."""

    sockets: int = Field(default=1, ge=1, le=1024)
    """Sockets of the machine."""
    cores: int = Field(default=1, ge=1, le=1024)
    """Cores of a socket."""
    threads: int = Field(default=1, ge=1, le=8)
    """Threads of a core."""

    @property
    def count(self) -> int:
        """Virtual CPUs in all."""
        return self.sockets * self.cores * self.threads


class Nic(Document):
    """A network adapter."""

    id: str = Field(max_length=64)
    """Name of the adapter in the source, such as `ethernet0`."""
    mac: MacAddress | None = None
    """Ethernet address; absent where the source does not state one."""
    model: str | None = Field(default=None, max_length=64)
    """The source's adapter type in lower case, such as `vmxnet3` or `e1000e`."""
    network: str | None = Field(default=None, max_length=253)
    """Name of the network it is attached to in the source."""
    connected: bool = True
    """Whether it is attached when the machine starts."""
    slot: Number | None = None
    """PCI slot number as the guest saw it: udev names an interface `ens192` after slot 192."""


class MachineDisk(Document):
    """A disk, by its place on a controller."""

    id: str = Field(pattern=r"^[a-z]+[0-9]+:[0-9]+$", max_length=64)
    """Bus, controller number and unit, such as `scsi0:1`: unique in the machine and stable."""
    bus: DiskBus
    """Kind of the controller."""
    controller: Number
    """Number of the controller among those of its kind."""
    unit: Number
    """Unit on the controller."""
    capacity: Bytes
    """Virtual size in bytes."""
    format: str = Field(max_length=16)
    """Format of the image in the source, such as `vmdk` or `qcow2`."""
    file: str = Field(max_length=255)
    """The disk's file (for a snapshot chain: the newest), relative to the source."""
    wwn: str | None = Field(default=None, max_length=64)
    """World-wide name in lower-case hexadecimal without prefix, as the guest's `/dev/disk/by-id` shows it."""


class Machine(Document):
    """A virtual machine's hardware."""

    name: str = Field(min_length=1, max_length=253)
    """Display name in the source."""
    cpu: Cpu = Cpu()
    memory: Bytes
    """Memory in bytes."""
    firmware: Firmware | None = None
    """Firmware; absent where the source does not say (the guest's disks decide then)."""
    secure_boot: bool = False
    """Whether the firmware enforces Secure Boot."""
    tpm: bool = False
    """Whether the machine has a TPM (its content does not travel)."""
    guest_os: str | None = Field(default=None, max_length=253)
    """The source's own name for the guest's operating system, such as `debian12-64`."""
    uuid: str | None = Field(default=None, max_length=64)
    """System UUID that the guest reads from its firmware tables."""
    disks: tuple[MachineDisk, ...] = Field(min_length=1, max_length=64)
    """Disks in the order in which the guest's kernel numbers them."""
    boot_order: tuple[str, ...] = Field(default=(), max_length=64)
    """Ids of disks in the order in which the source's firmware tries them; those that it does not name come after."""
    nics: tuple[Nic, ...] = Field(default=(), max_length=64)
    """Network adapters in the source's order."""
