"""VirtualMachineMigration and MigrationProfile: the custom resources of a migration."""

from enum import StrEnum
from typing import Literal

from pydantic import ConfigDict, Field

from hyper2kvm_api.document import Document
from hyper2kvm_api.kubernetes_types import (
    Condition,
    HostPathSource,
    NfsSource,
    PersistentVolumeClaimSource,
)
from hyper2kvm_api.machine import Firmware, Machine
from hyper2kvm_api.options import MigrationOptions
from hyper2kvm_api.scalars import ObjectName, Remark

GROUP = "hyper2kvm.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

MAX_WARNINGS = 64
"""Warnings that a status holds at most."""


class Mode(StrEnum):
    """Whether the virtual machine is migrated or only examined."""

    MIGRATE = "Migrate"
    PLAN = "Plan"


class ImageFormat(StrEnum):
    """Formats of a single source image. Formats are never guessed from an image's content."""

    RAW = "raw"
    QCOW2 = "qcow2"
    VMDK = "vmdk"
    VHD = "vhd"
    VHDX = "vhdx"
    VDI = "vdi"


class SourceVolume(Document):
    """Where the files of a source lie. Exactly one of its members."""

    persistent_volume_claim: PersistentVolumeClaimSource | None = None
    """A claim in the migration's namespace."""
    nfs: NfsSource | None = None
    """An NFS export."""
    host_path: HostPathSource | None = None
    """A folder of the node."""


class FilesSource(Document):
    """A virtual machine as files: a VMX folder, an OVA, an OVF folder or a single disk image."""

    volume: SourceVolume
    """Where the files lie."""
    path: str = Field(min_length=1, max_length=4096)
    """Path of the folder or file, relative to the volume."""
    format: ImageFormat | None = None
    """Format of a single image; from the file's extension when absent."""


class MigrationSourceSpec(Document):
    """Where the virtual machine comes from. Exactly one of its members."""

    files: FilesSource | None = None
    """Files on a volume."""


class VirtualMachineMigrationSpec(MigrationOptions):
    """What to migrate and how."""

    source: MigrationSourceSpec
    """Where the virtual machine comes from."""
    profiles: list[ObjectName] = Field(default=[], max_length=16)
    """MigrationProfiles, merged in order under this spec."""
    mode: Mode = Mode.MIGRATE
    """Migrate, or Plan: examine the guest, show every change as a diff, and write nothing."""
    suspend: bool = False
    """Stop work after the current step and keep everything, until false again."""
    cancel: bool = False
    """Stop for good and remove what was made."""


class Phase(StrEnum):
    """The phases of a migration, in order; the last three are final."""

    PENDING = "Pending"
    PLANNING = "Planning"
    PROVISIONING = "Provisioning"
    CONVERTING = "Converting"
    HANDING_OFF = "HandingOff"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


class DiskStatus(Document):
    """A disk of the migration."""

    id: str = Field(max_length=64)
    """Place on its controller in the source, such as `scsi0:0`."""
    capacity: int | None = None
    """Virtual size in bytes."""
    copied: int | None = None
    """Bytes copied so far."""
    total: int | None = None
    """Bytes to copy; less than the capacity where the disk has unused space."""
    claim_name: str | None = Field(default=None, max_length=253)
    """The claim that holds the target."""
    handed_off: bool | None = None
    """Whether the claim has left the migration's hands: it is no longer removed with it."""
    digest: str | None = Field(default=None, max_length=128)
    """Digest of the finished target's content."""


class Failure(Document):
    """Why a migration failed."""

    reason: str = Field(max_length=64)
    """Stable CamelCase word; the documentation lists all of them."""
    message: str = Field(max_length=4096)
    """What happened."""
    hint: str | None = Field(default=None, max_length=4096)
    """What to do next."""
    stage: str | None = Field(default=None, max_length=32)
    """Stage of the pipeline."""
    disk: str | None = Field(default=None, max_length=64)
    """Disk concerned."""
    file: str | None = Field(default=None, max_length=4096)
    """File concerned, in the source or in the guest."""


class BootStatus(Document):
    """How the migrated guest came up on the throw-away overlay."""

    verdict: str = Field(max_length=64)
    """Booted or Skipped; a guest that did not come up fails the migration."""
    evidence: str | None = Field(default=None, max_length=64)
    """What proves it: Probe, SerialLogin, ScreenLogin or UnlockPrompt."""
    seconds: float | None = None
    """Seconds from power-on to the verdict."""
    accelerator: str | None = Field(default=None, max_length=16)
    """`kvm` or `tcg`."""


class Blocked(Document):
    """What keeps a migration from going on at the moment."""

    reason: str = Field(max_length=64)
    """Stable CamelCase word: a reason of the documentation, or Suspended, WaitingForSlot, Queued."""
    message: str = Field(max_length=4096)
    """What is the matter, in Kubernetes' own words where it is Kubernetes'."""
    since: str = Field(max_length=64)
    """Since when it has been so without a break (RFC 3339)."""


class VirtualMachineMigrationStatus(Document):
    """What has happened so far."""

    observed_generation: int | None = None
    """The generation that the status was computed from."""
    phase: Phase | None = None
    """Where the migration stands."""
    phase_started_at: str | None = Field(default=None, max_length=64)
    """When that phase was entered (RFC 3339)."""
    stage: str | None = Field(default=None, max_length=32)
    """Stage of the pipeline while converting."""
    percent: int | None = Field(default=None, ge=0, le=100)
    """Share of the bytes that are copied."""
    progress: str | None = Field(default=None, max_length=256)
    """Stage, share and rate in one line."""
    progressed_at: str | None = Field(default=None, max_length=64)
    """When that line last changed (RFC 3339)."""
    started_at: str | None = Field(default=None, max_length=64)
    """When planning began (RFC 3339)."""
    finished_at: str | None = Field(default=None, max_length=64)
    """When a final phase was reached (RFC 3339)."""
    attempts: int | None = None
    """Conversion pods started so far."""
    conditions: list[Condition] = Field(default=[], max_length=32)
    """Planned, Provisioned, Converted, Validated, HandedOff and Ready."""
    disks: list[DiskStatus] = Field(default=[], max_length=64)
    """The disks."""
    machine: Machine | None = None
    """The target's hardware: as the source describes it, with what spec.machine says over it."""
    firmware: Firmware | None = None
    """The firmware that the guest boots with, as its disks show."""
    boot_disk: str | None = Field(default=None, max_length=64)
    """The disk that the firmware starts, as the guest shows."""
    repaired: bool | None = None
    """Whether the guest was repaired for KVM; false where it was copied unchanged."""
    failure: Failure | None = None
    """Why it failed."""
    blocked: Blocked | None = None
    """What keeps it from going on at the moment; absent when nothing does."""
    boot: BootStatus | None = None
    """The boot proof."""
    warnings: list[Remark] = Field(default=[], max_length=MAX_WARNINGS)
    """What a user should know and what did not stop the migration."""
    virtual_machine_name: str | None = Field(default=None, max_length=253)
    """Name of the VirtualMachine: from planning on, before it is made."""
    report: str | None = Field(default=None, max_length=253)
    """ConfigMap that holds report.json and report.html."""
    effective_spec: str | None = Field(default=None, max_length=65536)
    """The spec with its profiles merged in, as YAML."""


class Metadata(Document):
    """The part of an object's metadata that is used; Kubernetes knows more, which is accepted and ignored."""

    model_config = ConfigDict(extra="ignore")

    name: ObjectName
    """Name of the object."""
    namespace: ObjectName = "default"
    """Namespace of the object."""


class VirtualMachineMigration(Document):
    """Takes one virtual machine from its source to KVM and KubeVirt, and proves that it boots there."""

    api_version: Literal["hyper2kvm.io/v1alpha1"]
    kind: Literal["VirtualMachineMigration"]
    metadata: Metadata
    spec: VirtualMachineMigrationSpec
    status: VirtualMachineMigrationStatus | None = None


class MigrationProfile(Document):
    """Options that migrations share. Under `spec`, null removes what a profile before it set."""

    api_version: Literal["hyper2kvm.io/v1alpha1"]
    kind: Literal["MigrationProfile"]
    metadata: Metadata
    spec: MigrationOptions
