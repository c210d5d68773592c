"""What INSPECT finds out about a guest. The other stages decide on this, not on the disks."""

from enum import StrEnum

from pydantic import Field

from hyper2kvm_api.document import Document
from hyper2kvm_api.machine import Firmware


class Family(StrEnum):
    """Groups of operating systems that are repaired in the same way."""

    DEBIAN = "debian"
    UNKNOWN = "unknown"


class OperatingSystem(Document):
    """The operating system, as os-release (freedesktop.org, os-release(5)) names it."""

    family: Family
    id: str
    """ID of os-release, such as `debian`."""
    version: str
    """VERSION_ID of os-release; empty for rolling releases."""
    name: str
    """PRETTY_NAME of os-release."""
    architecture: str
    """Machine name as `uname -m` would print it."""
    hostname: str | None = None
    package_manager: str | None = None
    """Such as `apt`."""
    init: str | None = None
    """`systemd`, `sysvinit`, `openrc`, or None when unknown."""


class BlockDevice(Document):
    """A partition, logical volume or whole disk with content."""

    device: str
    """Its name in the appliance, such as `/dev/sda1` or `/dev/vg/root`."""
    disk: str | None = None
    """Id of the machine's disk that holds it; None for volumes that span disks."""
    partition: int | None = None
    """Partition number on that disk; None for a whole disk or a logical volume."""
    type: str
    """What it holds, as blkid names it: `ext4`, `vfat`, `swap`, `LVM2_member`, `crypto_LUKS`, `unknown`."""
    uuid: str | None = None
    label: str | None = None
    part_uuid: str | None = None
    part_label: str | None = None
    part_type: str | None = None
    """GPT type GUID in lower case, or MBR type in hexadecimal such as `83`."""
    raid_uuid: str | None = None
    """UUID of the Linux software RAID that it is; None for what is none."""
    raid_name: str | None = None
    """Name in that RAID's metadata, such as `web01:0`."""
    volume_uuid: str | None = None
    """UUIDs of a logical volume's group and of itself, in one word without hyphens, as device-mapper has them."""
    luks_uuid: str | None = None
    """UUID of the encrypted device (LUKS) of which it is the content."""
    size: int = Field(ge=0)
    """Bytes."""


class Mount(Document):
    """A file system that is mounted in the appliance as the guest would mount it."""

    device: str
    """Device in the appliance (of btrfs: its mountable, `btrfsvol:/dev/sda2/@`)."""
    path: str
    """Mount point in the guest."""
    type: str
    """File system type."""
    free: int
    """Free bytes."""
    size: int
    """Size in bytes."""


class DriverPlace(StrEnum):
    """Where a kernel can find a driver."""

    BUILT_IN = "BuiltIn"
    INITRAMFS = "Initramfs"
    MODULES = "Modules"
    """In the root file system only: too late for the disk that holds it."""
    MISSING = "Missing"


class Kernel(Document):
    """An installed kernel."""

    version: str
    """Release, as `uname -r` would print it."""
    image: str
    """Path of the kernel image in the guest."""
    initramfs: str | None = None
    """Path of its initramfs; None when it has none."""
    generator: str | None = None
    """What made the initramfs: `initramfs-tools`, `dracut`, or None when unknown."""
    modules: str | None = None
    """Folder of its modules, such as `/lib/modules/6.1.0-1-amd64`; None when there is none."""
    drivers: dict[str, DriverPlace]
    """Where each driver that the target needs is found, by module name."""

    @property
    def boots_from_virtio(self) -> bool:
        """Whether every needed driver is there before the root file system is."""
        return all(place in {DriverPlace.BUILT_IN, DriverPlace.INITRAMFS} for place in self.drivers.values())


class BootLoader(Document):
    """A boot loader."""

    kind: str
    """`grub-pc`, `grub-efi`, `systemd-boot`, `extlinux`."""
    disk: str | None = None
    """Id of the disk whose boot sector or ESP holds it."""
    configs: tuple[str, ...] = ()
    """Configuration files in the guest."""
    loaders: tuple[str, ...] = ()
    """EFI programs, as paths in the guest."""
    fallback: bool = False
    """UEFI: whether a loader stands at EFI/BOOT, so that a machine with an empty NVRAM starts it."""


class InterfaceConfig(Document):
    """What a configuration says of one network interface."""

    back_end: str
    """`ifupdown`, `netplan`, `networkd`, `networkmanager`, `udev`, `initramfs`."""
    file: str
    """Path of the configuration in the guest."""
    name: str | None = None
    """Interface name that it refers to."""
    mac: str | None = None
    """MAC address that it refers to, in lower case."""
    addresses: tuple[str, ...] = ()
    """Static addresses with prefix length, such as `192.0.2.10/24`."""
    dhcp: bool = False
    """Whether it asks for an address by DHCP."""


class VendorTools(Document):
    """Guest tools of another hypervisor."""

    name: str
    """Such as `open-vm-tools`."""
    kind: str
    """`package` or `files`."""
    evidence: str
    """The package or path that shows it."""


class Guest(Document):
    """INSPECT's document."""

    os: OperatingSystem | None = None
    """None when no disk holds an operating system (and the plan allows that)."""
    root: str | None = None
    """Device of the root file system in the appliance."""
    root_name: str | None = None
    """What the guest's own fstab calls it, such as `/dev/sda1`; None when it does not name it."""
    boot_disk: str | None = None
    """Id of the disk that the firmware starts."""
    firmware: Firmware
    """Firmware that the disks are made for."""
    devices: tuple[BlockDevice, ...] = ()
    mounts: tuple[Mount, ...] = ()
    kernels: tuple[Kernel, ...] = ()
    boot_loaders: tuple[BootLoader, ...] = ()
    interfaces: tuple[InterfaceConfig, ...] = ()
    vendor_tools: tuple[VendorTools, ...] = ()

    @property
    def supported(self) -> bool:
        """Whether FIX knows this guest."""
        return self.os is not None and self.os.family is not Family.UNKNOWN
