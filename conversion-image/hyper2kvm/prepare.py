"""From what a user gives (manifests, or a Plan that the operator wrote) to a run of the pipeline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hyper2kvm.events import Events
from hyper2kvm.pipeline import describe
from hyper2kvm.sources.description import Fetched
from hyper2kvm.sources.opening import source_of
from hyper2kvm.stages.work import Work
from hyper2kvm.workspace import IDENTITY, Identity, Workspace
from hyper2kvm_api.errors import SourceError, SpecError
from hyper2kvm_api.manifest import Manifests, documents, parse, read_manifests
from hyper2kvm_api.merge import JsonObject
from hyper2kvm_api.migration import Metadata, SourceVolume, VirtualMachineMigrationSpec
from hyper2kvm_api.plan import Plan, PlannedSource
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.resolve import Places, effective_spec, planned_source, profile_names, resolve


@dataclass(frozen=True)
class Mapped:
    """Where this machine holds what manifests name.

    Attributes:
        volumes: name of a volume (a claim's name, or `server:/path` of an NFS export) → folder.
        secrets: name of a Secret → folder with a file a key.
        output: folder for targets.
        source_root: folder of the source's volume, whichever volume the manifest names.
    """

    volumes: Mapping[str, Path] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)
    output: Path = field(default_factory=Path.cwd)
    source_root: Path | None = None


@dataclass(frozen=True)
class Request:
    """What is asked for, before the source was looked at. Either a plan, or a migration with its profiles.

    Attributes:
        name: name of the migration.
        namespace: its namespace.
        source: where the source's files lie on this machine.
        plan: the plan, when the operator (or `h2k plan`) has made it.
        migration: the VirtualMachineMigration as written.
        profiles: its profiles as written, in order.
        places: where things lie on this machine.
    """

    name: str
    namespace: str
    source: PlannedSource
    plan: Plan | None = None
    migration: JsonObject = field(default_factory=dict)
    profiles: tuple[JsonObject, ...] = ()
    places: Places | None = None

    @property
    def spec(self) -> VirtualMachineMigrationSpec | None:
        """The effective spec; None for a plan."""
        return effective_spec(self.migration, self.profiles) if self.places else None


def read_request(files: Sequence[Path], mapped: Mapped) -> Request:
    """Read manifests, or one plan: a document without a kind.

    Raises:
        SpecError: the files are not readable or not valid, or name what `mapped` does not hold.
    """
    texts = [(str(file), _read(file)) for file in files]
    if len(texts) == 1:
        plan = _plan(*texts[0])
        if plan is not None:
            return Request(plan.name, plan.namespace, plan.source, plan=plan)
    manifests = read_manifests(texts)
    profiles = tuple(_profile(manifests, name) for name in profile_names(manifests.migration))
    spec = effective_spec(manifests.migration, profiles)
    places = _places(spec, mapped)
    metadata = parse(Metadata, manifests.migration["metadata"], "metadata")
    return Request(
        metadata.name,
        metadata.namespace,
        planned_source(spec, places),
        migration=manifests.migration,
        profiles=profiles,
        places=places,
    )


def start(request: Request, workspace: Workspace, events: Events) -> tuple[Work, Fetched]:
    """FETCH, and the plan that follows from it. The caller holds the workspace's lock.

    Raises:
        Hyper2kvmError: the source or the spec is wrong.
    """
    workspace.write(IDENTITY, Identity(name=request.name, namespace=request.namespace), "")
    source = source_of(request.source)
    fetched = describe(source, workspace, events)
    if request.plan is not None:
        _same_machine(request.plan, fetched)
        plan = request.plan
    else:
        plan = resolve(request.migration, request.profiles, fetched.machine, request.places or Places("/", "/"))
    workspace.write("plan", plan, "")
    return Work(plan, source, workspace, events), fetched


def _same_machine(plan: Plan, fetched: Fetched) -> None:
    planned = [(disk.id, disk.capacity) for disk in plan.disks]
    found = [(disk.id, disk.capacity) for disk in fetched.machine.disks]
    if planned != found:
        raise SourceError(
            Reason.SOURCE_CHANGED, f"{plan.source.path}: the plan was made for disks {planned}, the source has {found}"
        )


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(Reason.MANIFEST_UNREADABLE, f"{file}: {error}") from None


def _plan(name: str, text: str) -> Plan | None:
    """The plan that a file holds, as `h2k plan` prints it and the operator writes it; None for other documents."""
    found = list(documents(name, text))
    if len(found) != 1 or "kind" in found[0] or "apiVersion" in found[0]:
        return None
    return parse(Plan, found[0], name)


def _profile(manifests: Manifests, name: str) -> JsonObject:
    if name not in manifests.profiles:
        given = ", ".join(sorted(manifests.profiles)) or "none"
        raise SpecError(Reason.PROFILE_NOT_FOUND, f"spec.profiles: {name!r} is not among the given profiles ({given})")
    return manifests.profiles[name]


def _places(spec: VirtualMachineMigrationSpec, mapped: Mapped) -> Places:
    keys = None
    if spec.guest.keys is not None:
        secret = spec.guest.keys.secret_name
        if secret not in mapped.secrets and mapped.source_root is None:
            raise SpecError(Reason.SECRET_NOT_MAPPED, f"spec.guest.keys names the Secret {secret!r}")
        keys = str(mapped.secrets[secret].absolute()) if secret in mapped.secrets else None
    if spec.source.files is None:
        raise SpecError(Reason.INVALID_SPEC, "spec.source: exactly one of files is needed")
    return Places(_folder(spec.source.files.volume, mapped), str(mapped.output.absolute()), keys=keys)


def _folder(volume: SourceVolume, mapped: Mapped) -> str:
    if mapped.source_root is not None:
        return str(mapped.source_root.absolute())
    given = [v for v in (volume.persistent_volume_claim, volume.nfs, volume.host_path) if v is not None]
    if len(given) != 1:
        raise SpecError(
            Reason.INVALID_SPEC,
            "spec.source.files.volume: exactly one of persistentVolumeClaim, nfs, hostPath is needed",
        )
    if volume.host_path is not None:
        return volume.host_path.path
    claim, nfs = volume.persistent_volume_claim, volume.nfs
    name = claim.claim_name if claim else f"{nfs.server}:{nfs.path}" if nfs else ""
    if name not in mapped.volumes:
        raise SpecError(
            Reason.VOLUME_NOT_MAPPED,
            f"spec.source.files.volume: {name!r} is not a volume of this machine",
            hint=f"Say where its content lies here: --volume {name}=FOLDER.",
        )
    return str(mapped.volumes[name].absolute())
