"""The documents of the stages that later stages and the report read (FETCH's and INSPECT's stand with their rooms)."""

from enum import StrEnum

from pydantic import Field

from hyper2kvm.disk.finished import CopiedDisk
from hyper2kvm.disk.nodes import FlatDisk
from hyper2kvm.guest.edits import EditRecord
from hyper2kvm_api.document import Document

FIX_PLAN = "fix-plan"
"""Name of FIX's document in Plan mode. It stands beside that of a FIX that was done, which a dry run leaves alone."""


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
    missing_leases: tuple[str, ...] = ()
    """Adapters, by the names that the guest's configuration has for them, that had no address although it asks for one by
    DHCP; none where every adapter of the machine had one."""


class Validated(Document):
    """VALIDATE's document."""

    disks: tuple[str, ...]
    """Absolute paths of the finished targets."""
    boot: BootProof | None = None
    """None when no boot was asked for."""
    domain: str | None = None
    """Absolute path of the libvirt domain."""


class Published(Document):
    """Which targets have got, or are about to get, their final names: they are never written again.

    It is written before the first of them is renamed, and kept whatever happens afterwards.
    """

    made_from: str
    """Digest of what they were made from: the source, and what the plan says of its disks and its guest."""
    targets: tuple[str, ...]
    """Absolute paths of the finished targets."""
    domains: tuple[str, ...] = ()
    """SHA-256 of every text of the libvirt domain that was written beside them."""
