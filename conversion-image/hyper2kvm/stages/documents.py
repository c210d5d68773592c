"""The documents of the stages that later stages and the report read (FETCH's and INSPECT's stand with their rooms)."""

from enum import StrEnum

from pydantic import Field

from hyper2kvm.disk.nodes import ImageNode
from hyper2kvm.guest.edits import EditRecord
from hyper2kvm_api.document import Document


class FlatDisk(Document):
    """A disk whose bytes can be read through one block graph."""

    id: str
    """The disk's id in the machine."""
    capacity: int = Field(gt=0)
    """Virtual size in bytes, as the image says."""
    node: ImageNode
    """The graph over the source, read-only."""
    links: tuple[str, ...]
    """Files of the chain, newest first, for the report."""


class Flattened(Document):
    """FLATTEN's document."""

    source: str
    """Digest of FETCH's document, with the state of the source's files: everything after depends on it."""
    disks: tuple[FlatDisk, ...] = Field(min_length=1)


class OverlayState(Document):
    """How a disk's overlay looked when FIX had ended, to notice that it changed."""

    disk: str
    """The disk's id in the machine."""
    size: int
    """Size of the file in bytes."""
    modified: int
    """Time of its last change in nanoseconds."""


class Fixed(Document):
    """FIX's document."""

    applied: bool
    """False for a dry run and for guests that are copied unchanged."""
    edits: tuple[EditRecord, ...] = ()
    trimmed: int | None = None
    """Bytes that were discarded because no file uses them; None when nothing was trimmed."""
    notes: tuple[str, ...] = ()
    """What was looked at and needed no change, a sentence each."""
    overlays: tuple[OverlayState, ...] = ()
    """How the overlays were left, one a disk; none when nothing was applied."""


class CopiedDisk(Document):
    """A disk that was copied whole. Its target still has its provisional name."""

    id: str
    target: str
    """Absolute path that the target will have in the end."""
    written: str
    """Absolute path where the copy stands now (the target itself for a block device)."""
    capacity: int
    """Virtual size in bytes."""
    data: int
    """Bytes that were copied; the rest reads as zeros."""
    stored: int
    """Bytes of storage that the target takes."""
    digest: str
    """Digest of the content, in the notation of disk/digest.py."""
    copied_now: int
    """Bytes that this run copied; an interrupted run had copied the rest."""


class Converted(Document):
    """CONVERT's document."""

    disks: tuple[CopiedDisk, ...] = Field(min_length=1)


class Evidence(StrEnum):
    """What shows that a guest came up, strongest first."""

    PROBE = "Probe"
    SERIAL_LOGIN = "SerialLogin"
    SCREEN_LOGIN = "ScreenLogin"
    UNLOCK_PROMPT = "UnlockPrompt"


class ProbedInterface(Document):
    """A network interface of the running guest."""

    name: str
    mac: str | None = None
    state: str | None = None
    addresses: tuple[str, ...] = ()
    """With prefix length."""


class ProbedMount(Document):
    """A mounted file system of the running guest."""

    device: str
    path: str
    type: str


class Probe(Document):
    """What the guest reported about itself."""

    target: str
    """What it reached: `multi-user`, `emergency`, `rescue`."""
    kernel: str
    """`uname -r`."""
    root_device: str
    """Device of the root file system."""
    root_below: tuple[str, ...] = ()
    """Partitions or disks at the bottom of it, such as `/dev/vda3` under a logical volume."""
    uptime: float
    """Seconds since the kernel started."""
    interfaces: tuple[ProbedInterface, ...] = ()
    mounts: tuple[ProbedMount, ...] = ()
    failed_units: tuple[str, ...] = ()
    complaints: tuple[str, ...] = ()
    """What systemd could not start, in its own words, where it reached no more than `emergency` or `rescue`."""


class BootProof(Document):
    """How the migrated guest came up on the throw-away overlay."""

    evidence: Evidence
    seconds: float
    """Seconds from power-on to the verdict."""
    accelerator: str
    """`kvm` or `tcg`."""
    firmware: str
    probe: Probe | None = None
    screenshot: str | None = None
    """Path of the last screen (PNG), relative to the workspace."""
    serial: str | None = None
    """Path of the serial log, relative to the workspace."""
    missing_addresses: tuple[str, ...] = ()
    """Static addresses that the guest's configuration states and that no interface had."""


class Validated(Document):
    """VALIDATE's document."""

    disks: tuple[str, ...]
    """Absolute paths of the finished targets."""
    boot: BootProof | None = None
    """None when no boot was asked for."""
    domain: str | None = None
    """Absolute path of the libvirt domain."""
