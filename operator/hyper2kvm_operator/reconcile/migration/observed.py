"""What is observed of a migration, as data. `decide` sees nothing else."""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from hyper2kvm_api.errors import SpecError
from hyper2kvm_api.machine import Machine
from hyper2kvm_api.migration import Blocked, VirtualMachineMigrationSpec, VirtualMachineMigrationStatus
from hyper2kvm_api.options import VolumeMode
from hyper2kvm_api.result import Result
from hyper2kvm_operator.build.claims import DEFAULT_OVERHEADS, Overheads
from hyper2kvm_operator.build.metadata import Json, MigrationKey
from hyper2kvm_operator.reconcile.migration.progress import Progress
from hyper2kvm_operator.settings import Settings


class JobOutcome(StrEnum):
    """How a Job stands."""

    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True)
class Trouble:
    """Why something that should go on does not, in Kubernetes' words.

    Attributes:
        kind: the reason that Kubernetes states, such as `ImagePullBackOff` or `FailedMount`.
        message: its words.
    """

    kind: str
    message: str


@dataclass(frozen=True)
class PodState:
    """A pod.

    Attributes:
        name: its name.
        uid: its uid.
        created: when it was made.
        running: whether its container has started.
        ended: whether it is over, however.
        trouble: why it has not started.
        exit_code: of the container that ended; None while it runs.
        exit_reason: Kubernetes' reason of the end, such as `OOMKilled`, `Evicted` or `Error`.
        result: the verdict that it left, when it could be read.
        node: name of the node that it is on.
        gone_by: when it should be gone, once somebody has deleted it.
    """

    name: str
    uid: str
    created: dt.datetime
    running: bool
    ended: bool = False
    trouble: Trouble | None = None
    exit_code: int | None = None
    exit_reason: str | None = None
    result: Result | None = None
    node: str | None = None
    gone_by: dt.datetime | None = None


@dataclass(frozen=True)
class JobState:
    """A Job and its pods.

    Attributes:
        name: its name.
        uid: its uid.
        created: when it was made.
        outcome: how it stands.
        suspended: whether it is told to hold no pod, by whomever.
        held: whether it was this operator that told it so.
        failed: pods that failed and counted.
        digest: digest of the plan that it was made for.
        content: digest of what that plan says of the targets' content; None of a Job of an older operator.
        trouble: why it failed or makes no pod, in Kubernetes' words.
        pod: its newest pod.
        last_failed: the newest of its pods that failed.
    """

    name: str
    uid: str
    created: dt.datetime
    outcome: JobOutcome
    suspended: bool = False
    held: bool = False
    failed: int = 0
    digest: str | None = None
    content: str | None = None
    trouble: Trouble | None = None
    pod: PodState | None = None
    last_failed: PodState | None = None


@dataclass(frozen=True)
class ClaimState:
    """A claim.

    Attributes:
        name: its name.
        uid: its uid.
        created: when it was made.
        owner: uid of the migration that its label names; None for a claim of somebody else.
        storage_class: the class that it has, also when none was asked for.
        mode: Filesystem or Block.
        access_modes: how many may use it, in Kubernetes' words.
        requested: bytes that it asks for; None when they are not written as ours are.
        bound: whether it has a volume.
        going: whether it is being deleted.
        trouble: why it is not bound.
    """

    name: str
    uid: str
    created: dt.datetime
    owner: str | None
    storage_class: str | None = None
    mode: VolumeMode = VolumeMode.FILESYSTEM
    access_modes: tuple[str, ...] = ("ReadWriteOnce",)
    requested: int | None = None
    bound: bool = False
    going: bool = False
    trouble: Trouble | None = None


@dataclass(frozen=True)
class DataVolumeState:
    """A DataVolume.

    Attributes:
        name: its name.
        uid: its uid.
        phase: CDI's phase, such as `ImportInProgress` or `Succeeded`.
        progress: CDI's progress, such as `41.2%`.
        message: the words of its Running condition, when that is false.
        restarts: how often its importer was started again.
    """

    name: str
    uid: str
    phase: str
    progress: str | None = None
    message: str | None = None
    restarts: int = 0


@dataclass(frozen=True)
class Abilities:
    """What the cluster has.

    Attributes:
        cdi: whether CDI is installed.
        kubevirt: whether KubeVirt is installed.
        kvm_nodes: nodes that offer KVM by the device plugin.
        overheads: CDI's filesystem overheads.
        storage_classes: the names of the storage classes.
        default_class: the one that claims get that name none.
    """

    cdi: bool
    kubevirt: bool
    kvm_nodes: int
    overheads: Overheads = DEFAULT_OVERHEADS
    storage_classes: frozenset[str] = frozenset()
    default_class: str | None = None


@dataclass(frozen=True)
class Neighbours:
    """What is there already and could be in the way.

    Attributes:
        claims: claims with names that this migration wants.
        data_volumes: DataVolumes with such names that are not this migration's.
        virtual_machine: whether a VirtualMachine with the wanted name exists.
        reserved_by: another migration that has the wanted VirtualMachine name.
        macs: MAC addresses that are in use or will be, with who has each.
        absent: what the wanted VirtualMachine refers to and is not there: kind and name.
    """

    claims: tuple[ClaimState, ...] = ()
    data_volumes: tuple[str, ...] = ()
    virtual_machine: bool = False
    reserved_by: str | None = None
    macs: tuple[tuple[str, str], ...] = ()
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Observed:
    """One migration and everything that decides what happens next.

    Attributes:
        key: which migration.
        generation: of its spec.
        deleting: whether it is being deleted.
        finalizer: whether our finalizer stands on it.
        cancel, suspend: what the spec as written says, whether it can be resolved or not.
        spec: the effective spec, or the error that says why there is none. Once planning has begun it is the one
            that was effective then, whatever became of the profiles (suspend and cancel are always current).
        edited: whether the spec was changed since that is not the one that counts any more.
        migration: the object with its effective spec.
        status: as last written, but for what kept the migration waiting.
        blocked: that: it stays only when it is decided so again.
        settings: the operator's settings.
        now: the time.
        free_slot: whether it may start, or go on, beside the others.
        ahead: migrations that wait for a slot before it.
        abilities: what the cluster has.
        plan_job, convert_job: its Jobs.
        claims: its own claims.
        data_volumes: its DataVolumes.
        serve_pod: the pod that serves finished disks.
        certificate: whether the image server's certificate is there.
        pods: its pods that have not ended.
        virtual_machine: uid of the VirtualMachine that it made.
        neighbours: what could be in the way; looked up once, when planning ends.
        progress: what the running pod has told.
        machine: the machine that the plan Job has told.
        report: the report that the convert pod has left: file name → content.
        untold: why what a pod tells cannot be read at the moment.
    """

    key: MigrationKey
    generation: int
    deleting: bool
    finalizer: bool
    spec: VirtualMachineMigrationSpec | SpecError
    migration: Json
    status: VirtualMachineMigrationStatus
    settings: Settings
    now: dt.datetime
    free_slot: bool
    ahead: int
    abilities: Abilities
    cancel: bool = False
    suspend: bool = False
    edited: bool = False
    blocked: Blocked | None = None
    plan_job: JobState | None = None
    convert_job: JobState | None = None
    claims: tuple[ClaimState, ...] = ()
    data_volumes: tuple[DataVolumeState, ...] = ()
    serve_pod: PodState | None = None
    certificate: bool = False
    pods: int = 0
    virtual_machine: str | None = None
    neighbours: Neighbours | None = None
    progress: Progress | None = None
    machine: Machine | None = None
    report: tuple[tuple[str, str], ...] = ()
    untold: str | None = None

    @property
    def stored(self) -> VirtualMachineMigrationStatus:
        """The status as it was last written."""
        return self.status.replaced(blocked=self.blocked)
