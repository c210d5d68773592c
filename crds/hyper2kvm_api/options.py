"""What a user may choose for a migration. A profile holds these options too; resolve.py merges the layers."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from hyper2kvm_api.document import Document
from hyper2kvm_api.kubernetes_types import Labels, Resources, Toleration
from hyper2kvm_api.machine import Cpu, Firmware
from hyper2kvm_api.scalars import DnsLabel, Duration, ObjectName, PlacedName, Quantity


class InitramfsPolicy(StrEnum):
    """What to do about kernels whose initramfs lacks virtio drivers."""

    AUTO = "Auto"
    KEEP = "Keep"


class UnsupportedPolicy(StrEnum):
    """What to do about disks without an operating system that can be repaired."""

    FAIL = "Fail"
    COPY = "Copy"


class DiskFormat(StrEnum):
    """Formats of target disks."""

    RAW = "raw"
    QCOW2 = "qcow2"
    VDI = "vdi"


class Compression(StrEnum):
    """Compression of a qcow2 target's clusters."""

    NONE = "None"
    ZLIB = "Zlib"
    ZSTD = "Zstd"


class TargetBus(StrEnum):
    """The bus of the target's disks."""

    VIRTIO = "virtio"
    SCSI = "scsi"
    SATA = "sata"


class VolumeMode(StrEnum):
    """How a volume is presented."""

    FILESYSTEM = "Filesystem"
    BLOCK = "Block"


class Handoff(StrEnum):
    """How a finished disk reaches KubeVirt."""

    ADOPT = "Adopt"
    IMPORT = "Import"
    NONE = "None"


HANDOFF_OF_FORMAT = {DiskFormat.RAW: Handoff.ADOPT, DiskFormat.QCOW2: Handoff.IMPORT, DiskFormat.VDI: Handoff.NONE}
"""The one handoff, beside None, that a format can take: KubeVirt boots raw only, CDI imports qcow2."""


class RunStrategy(StrEnum):
    """KubeVirt's run strategies."""

    HALTED = "Halted"
    ALWAYS = "Always"
    MANUAL = "Manual"
    RERUN_ON_FAILURE = "RerunOnFailure"
    ONCE = "Once"


class NicModel(StrEnum):
    """Models of network adapters that guests of KVM find."""

    VIRTIO = "virtio"
    E1000E = "e1000e"


class KvmMode(StrEnum):
    """How the conversion's pods get at KVM."""

    AUTO = "Auto"
    DEVICE_PLUGIN = "DevicePlugin"
    PRIVILEGED = "Privileged"
    NONE = "None"


class MachineOptions(Document):
    """Hardware that overrides what the source says."""

    cpu: Cpu | None = None
    """Processors."""
    memory: Quantity | None = None
    """Memory, such as `8Gi`."""
    firmware: Firmware | None = None
    """Firmware."""
    secure_boot: bool | None = None
    """Whether the firmware enforces Secure Boot (UEFI only)."""
    tpm: bool | None = None
    """Whether to add a new, empty TPM."""


class GuestKeys(Document):
    """Where the keys of encrypted disks lie."""

    secret_name: ObjectName
    """A Secret; each of its values is tried as a passphrase or key file."""


class GuestOptions(Document):
    """What may be changed inside the guest."""

    initramfs: InitramfsPolicy = InitramfsPolicy.AUTO
    """Auto adds virtio drivers to every kernel's initramfs that lacks them; Keep leaves them alone."""
    stable_device_names: bool = True
    """Rewrite device names that change with the controller (fstab, crypttab, boot loader) to stable ids."""
    keep_network_names: bool = True
    """Keep the names of network interfaces that configurations refer to, by binding them to MAC addresses."""
    fallback_loader: bool = True
    """Give UEFI guests a loader at EFI/BOOT, so that they boot without their old NVRAM."""
    remove_vendor_tools: bool = True
    """Remove the old hypervisor's guest tools."""
    serial_console: bool = False
    """Add a console on the first serial port beside the graphical one."""
    trim: bool = True
    """Discard what the file systems do not use, so that it is never copied."""
    when_unsupported: UnsupportedPolicy = UnsupportedPolicy.FAIL
    """Whether disks without a supported operating system fail the migration or are copied unchanged."""
    root: str | None = Field(default=None, pattern=r"^/dev/[A-Za-z0-9/_.-]+$", max_length=255)
    """Root file system's device, where the disks hold several operating systems."""
    keys: GuestKeys | None = None
    """Keys of encrypted disks."""


class DiskOptions(Document):
    """What the target's disks are like."""

    format: DiskFormat = DiskFormat.RAW
    """Format of the files."""
    compression: Compression = Compression.NONE
    """Compression of qcow2 clusters."""
    bus: TargetBus | None = None
    """Bus of the disks. When absent: virtio, or sata where the guest is copied unchanged."""
    storage_class_name: ObjectName | None = None
    """Storage class of the volumes; the cluster's default when absent."""
    volume_mode: VolumeMode | None = None
    """Filesystem or Block; Filesystem when absent."""
    access_modes: list[Annotated[str, Field(pattern=r"^ReadWrite(Once|Many|OncePod)$")]] = Field(
        default=[], max_length=4
    )
    """Access modes of the volumes; ReadWriteOnce when empty."""


class PodNetwork(Document):
    """The cluster's pod network, with masquerading."""


class MultusNetwork(Document):
    """A network of Multus."""

    network_name: PlacedName
    """NetworkAttachmentDefinition, as `name` or `namespace/name`."""


class IgnoredNetwork(Document):
    """The adapter is left out."""


class NetworkMapping(Document):
    """Where adapters of a source network go. Exactly one of pod, multus and ignore."""

    source: str | None = Field(default=None, max_length=253)
    """Name of the network in the source; every network without a mapping of its own when absent."""
    pod: PodNetwork | None = None
    """Attach to the pod network."""
    multus: MultusNetwork | None = None
    """Attach to a network of Multus."""
    ignore: IgnoredNetwork | None = None
    """Leave the adapter out."""


class InstanceReference(Document):
    """A KubeVirt instance type or preference."""

    name: ObjectName
    """Name of the object."""
    kind: str | None = Field(default=None, max_length=63)
    """Kind of the object; KubeVirt's cluster-wide kind when absent."""


class VirtualMachineOptions(Document):
    """The KubeVirt VirtualMachine to make of the disks."""

    create: bool = False
    """Whether to create it."""
    name: DnsLabel | None = None
    """Its name, which is its host name too: a DNS label. Made from the source's when absent."""
    run_strategy: RunStrategy = RunStrategy.HALTED
    """Whether it is started."""
    networks: list[NetworkMapping] = Field(default=[], max_length=32)
    """Where the network adapters go. When empty the first goes to the pod network, which takes one, and the others are
    left out."""
    network_model: NicModel | None = None
    """Model of the network adapters. When absent: virtio, or e1000e where the guest is copied unchanged."""
    labels: Labels = {}
    """Labels of the VirtualMachine and its pods."""
    annotations: Labels = {}
    """Annotations of the VirtualMachine."""
    instancetype: InstanceReference | None = None
    """Instance type in place of the source's CPU and memory."""
    preference: InstanceReference | None = None
    """Preference."""


class TargetOptions(Document):
    """Where the virtual machine goes."""

    disks: DiskOptions = DiskOptions()
    """The target's disks."""
    handoff: Handoff | None = None
    """Adopt: written where KubeVirt uses it. Import: served to CDI, which copies it. None: left on its claim, which is
    removed with the migration.

    When absent: Adopt for raw, Import for qcow2, None for vdi.
    """
    virtual_machine: VirtualMachineOptions = VirtualMachineOptions()
    """The virtual machine."""


class BootValidation(Document):
    """The start of the migrated guest on a throw-away overlay."""

    enabled: bool = True
    """Whether to start the guest."""
    timeout: Duration = "10m"
    """How long the guest may take, such as `15m` or `1h30m`."""
    memory: Quantity = "2Gi"
    """The most memory that the guest is started with, such as `4Gi`; the machine's own where that is less."""


class ValidationOptions(Document):
    """How the result is proved."""

    boot: BootValidation = BootValidation()
    """The start of the migrated guest."""


class WorkspaceOptions(Document):
    """The volume that holds a migration's progress, so that a new pod continues where the last one stopped."""

    storage_class_name: ObjectName | None = None
    """Storage class, also of the images that CDI imports; the cluster's default when absent."""
    size: Quantity = "4Gi"
    """Size of the volume, such as `10Gi`."""


class JobOptions(Document):
    """The Jobs that do the work."""

    kvm: KvmMode | None = None
    """How pods get at KVM; the operator's setting when absent."""
    resources: Resources = Resources()
    """Requests and limits of the conversion's container, over the operator's defaults."""
    node_selector: Labels = {}
    """Labels that nodes must have."""
    tolerations: list[Toleration] = Field(default=[], max_length=32)
    """Taints that are tolerated."""
    priority_class_name: ObjectName | None = None
    """Priority class of the pods."""
    service_account_name: ObjectName | None = None
    """Service account of the pods, by which OpenShift and policy engines decide what they may be; the namespace's default when
    absent. They have no token of it."""
    labels: Labels = {}
    """Labels of Jobs and pods, for queueing systems such as Kueue."""
    annotations: Labels = {}
    """Annotations of Jobs and pods."""
    retries: int = Field(default=4, ge=0, le=20)
    """How often a Job is started again after a failure that may pass."""
    workspace: WorkspaceOptions = WorkspaceOptions()
    """The volume for progress and evidence."""


class CleanupPolicy(StrEnum):
    """When something that the migration made is removed."""

    ON_SUCCESS = "OnSuccess"
    ON_DELETE = "OnDelete"


class CleanupOptions(Document):
    """What is removed when. Targets that were handed off are never removed with the migration."""

    workspace: CleanupPolicy = CleanupPolicy.ON_DELETE
    """The workspace volume: after success, or with the migration."""
    jobs: CleanupPolicy = CleanupPolicy.ON_DELETE
    """The convert Job with its pods and logs: after success, or with the migration. The plan Job goes when it has done its work."""
    artifacts: CleanupPolicy = CleanupPolicy.ON_DELETE
    """Claims with finished images that CDI has imported: after success, or with the migration."""


class MigrationOptions(Document):
    """Everything about a migration that is not the source itself."""

    machine: MachineOptions = MachineOptions()
    """Hardware that overrides the source's."""
    guest: GuestOptions = GuestOptions()
    """What may be changed inside the guest."""
    target: TargetOptions = TargetOptions()
    """Where the virtual machine goes."""
    validation: ValidationOptions = ValidationOptions()
    """How the result is proved."""
    job: JobOptions = JobOptions()
    """The Jobs that do the work."""
    cleanup: CleanupOptions = CleanupOptions()
    """What is removed when."""
