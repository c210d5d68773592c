"""Observes one migration: the cache for what watches tell, requests for the rest, only as the phase needs them."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import yaml

from hyper2kvm_api.errors import SpecError
from hyper2kvm_api.machine import Machine
from hyper2kvm_api.manifest import parse, parse_stored
from hyper2kvm_api.merge import JsonObject, merge
from hyper2kvm_api.migration import Phase, VirtualMachineMigrationSpec, VirtualMachineMigrationStatus
from hyper2kvm_api.names import disk_suffix
from hyper2kvm_api.options import VirtualMachineOptions
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.resolve import effective_spec, profile_names
from hyper2kvm_operator.build import imageserver
from hyper2kvm_operator.build.metadata import Json, MigrationKey
from hyper2kvm_operator.build.virtualmachine import machine_name, map_networks
from hyper2kvm_operator.kube.cache import Cache
from hyper2kvm_operator.kube.client import KubeClient, KubeObject
from hyper2kvm_operator.kube.resources import ROLE_LABEL, Resources
from hyper2kvm_operator.reconcile.migration.abilities import AbilityReader
from hyper2kvm_operator.reconcile.migration.apply import FINALIZER
from hyper2kvm_operator.reconcile.migration.decision import ACTIVE
from hyper2kvm_operator.reconcile.migration.needs import lacking
from hyper2kvm_operator.reconcile.migration.observed import Abilities, JobOutcome, JobState, Neighbours, Observed
from hyper2kvm_operator.reconcile.migration.progress import Progress, read_machine, read_progress, read_report
from hyper2kvm_operator.reconcile.migration.read import alive, read_claim, read_data_volume, read_job, read_pod
from hyper2kvm_operator.reconcile.migration.slots import parked, slot
from hyper2kvm_operator.reconcile.migration.told import LogReader, Told
from hyper2kvm_operator.settings import Settings

_PROGRESS_LINES = 60
_LAST_LINES = 200
"""Lines that are read of a log: while its pod runs, and after its end, when the report is among them."""

_STARTED = {*ACTIVE, Phase.SUCCEEDED, Phase.FAILED}
_FROZEN = {*ACTIVE, Phase.SUCCEEDED}
"""Phases in which the spec counts that was effective when planning began."""

_WISHES = ("suspend", "cancel")
"""Fields of the spec that always count as they are written."""

_EMPTY = VirtualMachineMigrationStatus()
_NOTHING_TOLD = Told()


@dataclass(frozen=True)
class _Counting:
    """The spec that counts.

    Attributes:
        spec: it, or why there is none.
        values: the same as JSON values.
        edited: whether what is written now means another one.
    """

    spec: VirtualMachineMigrationSpec | SpecError
    values: Json
    edited: bool = False


_INSTANCETYPES = (Resources.CLUSTER_INSTANCETYPE.value, Resources.INSTANCETYPE.value)
_PREFERENCES = (Resources.CLUSTER_PREFERENCE.value, Resources.PREFERENCE.value)
"""Kinds that a VirtualMachine may refer to, the one first that it means when it names none."""

_NEEDING = (None, Phase.PENDING, Phase.PLANNING)
"""Phases in which something that the cluster has not fails a migration."""


class Observer:
    """Looks at migrations."""

    def __init__(self, client: KubeClient, cache: Cache, abilities: AbilityReader, settings: Settings) -> None:
        self._client = client
        self._cache = cache
        self._abilities = abilities
        self._settings = settings
        self._logs = LogReader(client)

    def observe(self, migration: KubeObject, now: dt.datetime) -> Observed:
        """Everything that decides what happens next to one migration.

        Raises:
            SpecError: its status is of another version's form: it is left alone.
            RefusedError, UnreachableError: of the API server.
        """
        metadata = migration["metadata"]
        key = MigrationKey(metadata["namespace"], metadata["name"], metadata["uid"])
        status = stored_status(migration)
        counting = self._spec(migration, status)
        leaving = "deletionTimestamp" in metadata or bool(migration["spec"].get("cancel"))
        pods = self._cache.children(Resources.POD.value, key.uid)
        jobs = {job["metadata"]["labels"].get(ROLE_LABEL): job for job in self._children(key, Resources.JOB)}
        claims = self._children(key, Resources.CLAIM)
        warnings = [] if leaving else self._warnings(key, status, pods, [*jobs.values(), *claims])
        free, ahead = self._slot(migration, status)
        plan_job = read_job(jobs["plan"], pods, warnings) if "plan" in jobs else None
        convert_job = read_job(jobs["convert"], pods, warnings) if "convert" in jobs else None
        told = _NOTHING_TOLD if leaving else self._told(key, status, plan_job, convert_job)
        machine = read_machine(told.text) if told.text and status.phase is Phase.PLANNING else None
        progress, report = _converted(told, status, convert_job)
        serving = next((p for p in pods if p["metadata"]["labels"].get(ROLE_LABEL) == imageserver.ROLE), None)
        handing_off = status.phase is Phase.HANDING_OFF
        return Observed(
            key=key,
            generation=metadata["generation"],
            deleting="deletionTimestamp" in metadata,
            finalizer=FINALIZER in metadata.get("finalizers", []),
            cancel=bool(migration["spec"].get("cancel")),
            suspend=bool(migration["spec"].get("suspend")),
            spec=counting.spec,
            edited=counting.edited,
            migration={**migration, "spec": counting.values},
            status=status.replaced(blocked=None),
            blocked=status.blocked,
            settings=self._settings,
            now=now,
            free_slot=free,
            ahead=ahead,
            abilities=self._abilities.read(partial(_suffice, counting.spec, status.phase)),
            plan_job=plan_job,
            convert_job=convert_job,
            claims=tuple(read_claim(claim, warnings) for claim in claims),
            data_volumes=tuple(read_data_volume(volume) for volume in self._children(key, Resources.DATA_VOLUME)),
            serve_pod=read_pod(serving, warnings) if serving else None,
            certificate=handing_off and self._certificate(key),
            pods=sum(alive(pod) for pod in pods),
            virtual_machine=self._virtual_machine(key, status) if handing_off else None,
            neighbours=self._neighbours(key, counting.spec, machine) if machine else None,
            progress=progress,
            machine=machine,
            report=report,
            untold=told.trouble,
        )

    def _slot(self, migration: KubeObject, status: VirtualMachineMigrationStatus) -> tuple[bool, int]:
        """Whether it may start or go on, and how many wait before it; only who does not work asks all others."""
        if status.phase in _STARTED and not parked(migration):
            return True, 0
        return slot(migration, self._cache.migrations(), self._settings.max_concurrent)

    def _children(self, key: MigrationKey, kind: Resources) -> list[KubeObject]:
        return self._cache.children(kind.value, key.uid)

    def _spec(self, migration: KubeObject, status: VirtualMachineMigrationStatus) -> _Counting:
        """The spec that counts: once planning has begun the one that was effective then."""
        written = self._written(migration)
        if status.phase not in _FROZEN or not status.effective_spec:
            return written
        wishes = {name: migration["spec"].get(name) or False for name in _WISHES}
        try:
            frozen = _frozen(status, wishes)
        except SpecError as error:
            return _Counting(error, migration["spec"])
        changed = migration["metadata"]["generation"] != status.observed_generation
        edited = changed and _means_another(migration, written.spec, frozen)
        return _Counting(frozen, frozen.to_object(), edited)

    def _written(self, migration: KubeObject) -> _Counting:
        try:
            spec = effective_spec(migration, self._profiles(migration))
        except SpecError as error:
            return _Counting(error, migration["spec"])
        return _Counting(spec, spec.to_object())

    def _profiles(self, migration: KubeObject) -> list[JsonObject]:
        found: list[JsonObject] = []
        for name in profile_names(migration):
            profile = self._cache.get(Resources.PROFILE.value, migration["metadata"]["namespace"], name)
            if profile is None:
                raise SpecError(Reason.PROFILE_NOT_FOUND, f"spec.profiles: there is no MigrationProfile {name!r}")
            found.append(profile)
        return found

    def _warnings(
        self,
        key: MigrationKey,
        status: VirtualMachineMigrationStatus,
        pods: Sequence[KubeObject],
        others: Sequence[KubeObject],
    ) -> list[KubeObject]:
        """Warning Events about its children, where something may be stuck: no pod of an active migration runs yet."""
        running = any(pod.get("status", {}).get("phase") == "Running" for pod in pods)
        if status.phase not in ACTIVE or running:
            return []
        about = {one["metadata"]["uid"] for one in (*pods, *others)}
        told = self._client.each(Resources.EVENT.value, key.namespace, fields="type=Warning")
        return [event for event in told if event.get("involvedObject", {}).get("uid") in about]

    def _told(
        self,
        key: MigrationKey,
        status: VirtualMachineMigrationStatus,
        plan_job: JobState | None,
        convert_job: JobState | None,
    ) -> Told:
        """What the pod tells whose turn it is, once it has begun to."""
        if status.phase is Phase.PLANNING and plan_job is not None and plan_job.outcome is JobOutcome.SUCCEEDED:
            return self._logs.read(key.namespace, plan_job.pod.name, lines=_LAST_LINES) if plan_job.pod else Told()
        if status.phase is not Phase.CONVERTING or convert_job is None or convert_job.pod is None:
            return _NOTHING_TOLD
        if convert_job.outcome is not JobOutcome.RUNNING:
            return self._logs.read(key.namespace, convert_job.pod.name, lines=_LAST_LINES)
        if not convert_job.pod.running:
            return _NOTHING_TOLD
        return self._logs.read(key.namespace, convert_job.pod.name, lines=_PROGRESS_LINES)

    def _certificate(self, key: MigrationKey) -> bool:
        name = imageserver.server_name(key)
        return self._client.get(Resources.CONFIG_MAP.value, key.namespace, name) is not None

    def _virtual_machine(self, key: MigrationKey, status: VirtualMachineMigrationStatus) -> str | None:
        """The uid of the VirtualMachine that this migration has made."""
        if status.virtual_machine_name is None:
            return None
        found = self._client.get(Resources.VIRTUAL_MACHINE.value, key.namespace, status.virtual_machine_name)
        return str(found["metadata"]["uid"]) if found is not None and _own(key, found) else None

    def _neighbours(
        self, key: MigrationKey, spec: VirtualMachineMigrationSpec | SpecError, machine: Machine
    ) -> Neighbours:
        if isinstance(spec, SpecError):
            return Neighbours()
        wanted = [key.child(disk_suffix(index)) for index in range(len(machine.disks))]
        claims = self._there(Resources.CLAIM, key.namespace, wanted)
        volumes = self._there(Resources.DATA_VOLUME, key.namespace, wanted)
        found = Neighbours(
            claims=tuple(read_claim(claim, ()) for claim in claims),
            data_volumes=tuple(one["metadata"]["name"] for one in volumes if not _own(key, one)),
        )
        options = spec.target.virtual_machine
        return found if not options.create else self._machines(key, options, machine_name(machine, options), found)

    def _there(self, kind: Resources, namespace: str, names: Sequence[str]) -> Iterator[KubeObject]:
        """The objects of these names, but for those that a deleted migration has left: they go as it went."""
        for name in names:
            found = self._client.get(kind.value, namespace, name)
            if found is not None and not self._cache.orphaned(found):
                yield found

    def _machines(self, key: MigrationKey, options: VirtualMachineOptions, name: str, found: Neighbours) -> Neighbours:
        """With the VirtualMachines that are there, and those that other migrations are about to make."""
        namespaces: Sequence[str | None] = self._settings.watch_namespaces or [None]
        machines = (vm for one in namespaces for vm in self._client.each(Resources.VIRTUAL_MACHINE.value, one))
        others = [(_place(vm), macs(vm)) for vm in machines if not _own(key, vm)]
        coming = list(self._coming(key))
        there = [(mac, f"the VirtualMachine {'/'.join(place)}") for place, used in others for mac in used]
        planned = [(mac, f"the migration {'/'.join(_place(one))}") for one in coming for mac in planned_macs(one)]
        names = {one["status"]["virtualMachineName"]: one for one in coming if _place(one)[0] == key.namespace}
        return replace(
            found,
            virtual_machine=any(place == (key.namespace, name) for place, _ in others),
            reserved_by=names[name]["metadata"]["name"] if name in names else None,
            macs=(*there, *planned),
            absent=tuple(self._absent(key.namespace, options)),
        )

    def _absent(self, namespace: str, options: VirtualMachineOptions) -> Iterator[str]:
        """The instance type and the preference that are not there. Of a kind that KubeVirt does not know it says so."""
        for reference, kinds in ((options.instancetype, _INSTANCETYPES), (options.preference, _PREFERENCES)):
            if reference is None:
                continue
            wanted = (reference.kind or kinds[0].kind).lower()
            for kind in kinds:
                place = namespace if kind.namespaced else None
                if wanted in {kind.kind.lower(), kind.plural} and not self._client.get(kind, place, reference.name):
                    yield f"{kind.kind} {reference.name}"

    def _coming(self, key: MigrationKey) -> Iterator[KubeObject]:
        """The other migrations at work that will make a VirtualMachine."""
        for other in self._cache.migrations():
            status = other["status"]
            if status.get("phase") in ACTIVE and "virtualMachineName" in status and other["metadata"]["uid"] != key.uid:
                whole = self._cache.get(Resources.MIGRATION.value, *_place(other))
                if whole is not None:
                    yield whole


def _frozen(status: VirtualMachineMigrationStatus, wishes: Json | None = None) -> VirtualMachineMigrationSpec:
    """The spec that was effective when planning began, with what is wished now.

    Raises:
        SpecError: it is one that this version does not understand.
    """
    values = {**yaml.safe_load(status.effective_spec or "{}"), **(wishes or {})}
    return parse_stored(VirtualMachineMigrationSpec, values, "status.effectiveSpec")


def _means_another(
    migration: KubeObject, written: VirtualMachineMigrationSpec | SpecError, frozen: VirtualMachineMigrationSpec
) -> bool:
    """Whether what is written now means another spec than the one that counts.

    Where it means none, a profile may have gone, which changes nothing: what the migration itself states is compared.
    """
    if not isinstance(written, SpecError):
        return written != frozen
    own = {name: value for name, value in migration["spec"].items() if name not in _WISHES}
    try:
        return parse(VirtualMachineMigrationSpec, merge([frozen.to_object(), own]), "spec") != frozen
    except SpecError:
        return True


def _converted(
    told: Told, status: VirtualMachineMigrationStatus, job: JobState | None
) -> tuple[Progress | None, tuple[tuple[str, str], ...]]:
    """How far the conversion is, and, once it has ended, its report."""
    if told.text is None or status.phase is not Phase.CONVERTING or job is None:
        return None, ()
    return read_progress(told.text), read_report(told.text) if job.outcome is not JobOutcome.RUNNING else ()


def stored_status(migration: KubeObject) -> VirtualMachineMigrationStatus:
    """A migration's status; an empty one when it has none.

    Raises:
        SpecError: it is one that this version does not understand.
    """
    return parse_stored(VirtualMachineMigrationStatus, migration.get("status", {}), "status")


def read_status(migration: KubeObject) -> VirtualMachineMigrationStatus:
    """A migration's status to show; an empty one also for one that this version does not understand."""
    try:
        return stored_status(migration)
    except SpecError:
        return _EMPTY


def macs(virtual_machine: KubeObject) -> list[str]:
    """The MAC addresses that a VirtualMachine states, in lower case."""
    domain = virtual_machine["spec"].get("template", {}).get("spec", {}).get("domain", {})
    interfaces = domain.get("devices", {}).get("interfaces", [])
    return [interface["macAddress"].lower().replace("-", ":") for interface in interfaces if "macAddress" in interface]


def planned_macs(migration: KubeObject) -> list[str]:
    """The MAC addresses that a migration's machine will have, in lower case: those of adapters that it does not ignore."""
    try:
        status = stored_status(migration)
        mappings = _frozen(status).target.virtual_machine.networks if status.effective_spec else ()
    except SpecError:
        return []
    nics = status.machine.nics if status.machine else ()
    return [one.nic.mac.lower() for one in map_networks(nics, mappings).attached if one.nic.mac]


def _own(key: MigrationKey, value: KubeObject) -> bool:
    return bool(value["metadata"].get("labels", {}).items() >= key.labels.items())


def _place(value: KubeObject) -> tuple[str, str]:
    return value["metadata"]["namespace"], value["metadata"]["name"]


def _suffice(spec: VirtualMachineMigrationSpec | SpecError, phase: Phase | None, found: Abilities) -> bool:
    """Whether abilities that were read a while ago will do: nothing fails for want of what was made since."""
    return phase not in _NEEDING or isinstance(spec, SpecError) or not lacking(spec, found)
