"""Observes one migration: the cache for what watches tell, requests for the rest, only as the phase needs them."""

import datetime as dt
from collections.abc import Sequence

import yaml

from hyper2kvm_api.errors import SpecError
from hyper2kvm_api.machine import Machine
from hyper2kvm_api.manifest import parse
from hyper2kvm_api.merge import JsonObject
from hyper2kvm_api.migration import Phase, VirtualMachineMigrationSpec, VirtualMachineMigrationStatus
from hyper2kvm_api.names import disk_suffix
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.resolve import effective_spec, profile_names
from hyper2kvm_operator.build import imageserver
from hyper2kvm_operator.build.metadata import Json, MigrationKey
from hyper2kvm_operator.build.pod import CONTAINER
from hyper2kvm_operator.build.virtualmachine import machine_name
from hyper2kvm_operator.kube.cache import Cache
from hyper2kvm_operator.kube.client import KubeClient, KubeObject
from hyper2kvm_operator.kube.resources import ROLE_LABEL, Resources
from hyper2kvm_operator.reconcile.migration.abilities import AbilityReader
from hyper2kvm_operator.reconcile.migration.apply import FINALIZER
from hyper2kvm_operator.reconcile.migration.decision import ACTIVE
from hyper2kvm_operator.reconcile.migration.observed import JobOutcome, JobState, Neighbours, Observed
from hyper2kvm_operator.reconcile.migration.progress import Progress, read_machine, read_progress, read_report
from hyper2kvm_operator.reconcile.migration.read import alive, read_claim, read_data_volume, read_job, read_pod
from hyper2kvm_operator.reconcile.migration.slots import slot
from hyper2kvm_operator.settings import Settings

_PROGRESS_LINES = 60
_LAST_LINES = 200
"""Lines that are read of a log: while its pod runs, and after its end, when the report is among them."""

_STARTED = {*ACTIVE, Phase.SUCCEEDED, Phase.FAILED}

_EMPTY = VirtualMachineMigrationStatus()


class Observer:
    """Looks at migrations."""

    def __init__(self, client: KubeClient, cache: Cache, abilities: AbilityReader, settings: Settings) -> None:
        self._client = client
        self._cache = cache
        self._abilities = abilities
        self._settings = settings

    def observe(self, migration: KubeObject, now: dt.datetime) -> Observed:
        """Everything that decides what happens next to one migration."""
        metadata = migration["metadata"]
        key = MigrationKey(metadata["namespace"], metadata["name"], metadata["uid"])
        status = read_status(migration)
        spec, effective = self._spec(migration, status)
        pods = self._cache.children(Resources.POD.value, key.uid)
        jobs = {job["metadata"]["labels"].get(ROLE_LABEL): job for job in self._children(key, Resources.JOB)}
        warnings = self._warnings(key, status, pods)
        free, ahead = self._slot(migration, status)
        plan_job = read_job(jobs["plan"], pods, warnings) if "plan" in jobs else None
        convert_job = read_job(jobs["convert"], pods, warnings) if "convert" in jobs else None
        machine = self._machine(key, status, plan_job)
        progress, report = self._told(key, status, convert_job)
        serving = next((p for p in pods if p["metadata"]["labels"].get(ROLE_LABEL) == imageserver.ROLE), None)
        handing_off = status.phase is Phase.HANDING_OFF
        return Observed(
            key=key,
            generation=metadata["generation"],
            deleting="deletionTimestamp" in metadata,
            finalizer=FINALIZER in metadata.get("finalizers", []),
            spec=spec,
            migration={**migration, "spec": effective},
            status=status,
            settings=self._settings,
            now=now,
            free_slot=free,
            ahead=ahead,
            abilities=self._abilities.read(),
            plan_job=plan_job,
            convert_job=convert_job,
            claims=tuple(read_claim(claim, warnings) for claim in self._children(key, Resources.CLAIM)),
            data_volumes=tuple(read_data_volume(volume) for volume in self._children(key, Resources.DATA_VOLUME)),
            serve_pod=read_pod(serving, warnings) if serving else None,
            certificate=handing_off and self._certificate(key),
            pods=sum(alive(pod) for pod in pods),
            virtual_machine=self._virtual_machine(key, status) if handing_off else None,
            neighbours=self._neighbours(key, spec, machine) if machine else None,
            progress=progress,
            machine=machine,
            report=report,
        )

    def _slot(self, migration: KubeObject, status: VirtualMachineMigrationStatus) -> tuple[bool, int]:
        """Whether it may start and how many wait before it; only who does not work yet asks all others."""
        if status.phase in _STARTED:
            return True, 0
        return slot(migration, self._cache.all(Resources.MIGRATION.value), self._settings.max_concurrent)

    def _children(self, key: MigrationKey, kind: Resources) -> list[KubeObject]:
        return self._cache.children(kind.value, key.uid)

    def _spec(
        self, migration: KubeObject, status: VirtualMachineMigrationStatus
    ) -> tuple[VirtualMachineMigrationSpec | SpecError, Json]:
        """The spec that counts: once planning has begun the one that was effective then."""
        try:
            if status.phase in ACTIVE and status.effective_spec:
                frozen = yaml.safe_load(status.effective_spec)
                current = {name: migration["spec"].get(name, False) for name in ("suspend", "cancel")}
                spec = parse(VirtualMachineMigrationSpec, {**frozen, **current}, "status.effectiveSpec")
            else:
                spec = effective_spec(migration, self._profiles(migration))
        except SpecError as error:
            return error, migration["spec"]
        return spec, spec.to_object()

    def _profiles(self, migration: KubeObject) -> list[JsonObject]:
        found: list[JsonObject] = []
        for name in profile_names(migration):
            profile = self._cache.get(Resources.PROFILE.value, migration["metadata"]["namespace"], name)
            if profile is None:
                raise SpecError(Reason.PROFILE_NOT_FOUND, f"spec.profiles: there is no MigrationProfile {name!r}")
            found.append(profile)
        return found

    def _warnings(
        self, key: MigrationKey, status: VirtualMachineMigrationStatus, pods: Sequence[KubeObject]
    ) -> list[KubeObject]:
        """Warning Events of the namespace, where something may be stuck: no pod of an active migration runs yet."""
        running = any(pod.get("status", {}).get("phase") == "Running" for pod in pods)
        if status.phase not in ACTIVE or running:
            return []
        return self._client.list(Resources.EVENT.value, key.namespace, fields="type=Warning")

    def _machine(
        self, key: MigrationKey, status: VirtualMachineMigrationStatus, job: JobState | None
    ) -> Machine | None:
        if status.phase is not Phase.PLANNING or job is None or job.outcome is not JobOutcome.SUCCEEDED:
            return None
        log = self._client.log(key.namespace, job.pod.name, container=CONTAINER, tail=_LAST_LINES) if job.pod else None
        return read_machine(log) if log else None

    def _told(
        self, key: MigrationKey, status: VirtualMachineMigrationStatus, job: JobState | None
    ) -> tuple[Progress | None, tuple[tuple[str, str], ...]]:
        if status.phase is not Phase.CONVERTING or job is None or job.pod is None:
            return None, ()
        ended = job.outcome is not JobOutcome.RUNNING
        if not ended and not job.pod.running:
            return None, ()
        tail = _LAST_LINES if ended else _PROGRESS_LINES
        log = self._client.log(key.namespace, job.pod.name, container=CONTAINER, tail=tail)
        if log is None:
            return None, ()
        return read_progress(log), read_report(log) if ended else ()

    def _certificate(self, key: MigrationKey) -> bool:
        name = imageserver.server_name(key)
        return self._client.get(Resources.CONFIG_MAP.value, key.namespace, name) is not None

    def _virtual_machine(self, key: MigrationKey, status: VirtualMachineMigrationStatus) -> str | None:
        """The uid of the VirtualMachine that this migration has made."""
        if status.virtual_machine_name is None:
            return None
        found = self._client.get(Resources.VIRTUAL_MACHINE.value, key.namespace, status.virtual_machine_name)
        mine = found is not None and found["metadata"].get("labels", {}).items() >= key.labels.items()
        return str(found["metadata"]["uid"]) if found is not None and mine else None

    def _neighbours(
        self, key: MigrationKey, spec: VirtualMachineMigrationSpec | SpecError, machine: Machine
    ) -> Neighbours:
        if isinstance(spec, SpecError):
            return Neighbours()
        wanted = [key.child(disk_suffix(index)) for index in range(len(machine.disks))]
        found = (self._client.get(Resources.CLAIM.value, key.namespace, name) for name in wanted)
        options = spec.target.virtual_machine
        name = machine_name(machine, options)
        machines = self._virtual_machines() if options.create else []
        own = [vm for vm in machines if vm["metadata"].get("labels", {}).items() >= key.labels.items()]
        others = [vm for vm in machines if vm not in own]
        return Neighbours(
            claims=tuple(read_claim(claim, ()) for claim in found if claim is not None),
            virtual_machine=any(_place(vm) == (key.namespace, name) for vm in others),
            reserved_by=self._reserved_by(key, name) if options.create else None,
            macs=tuple((mac, "/".join(_place(vm))) for vm in others for mac in macs(vm)),
            storage_class_missing=self._missing_class(spec),
        )

    def _virtual_machines(self) -> list[KubeObject]:
        namespaces: Sequence[str | None] = self._settings.watch_namespaces or [None]
        return [vm for one in namespaces for vm in self._client.list(Resources.VIRTUAL_MACHINE.value, one)]

    def _reserved_by(self, key: MigrationKey, name: str) -> str | None:
        for other in self._cache.all(Resources.MIGRATION.value):
            status = other.get("status", {})
            same = other["metadata"]["namespace"] == key.namespace and status.get("virtualMachineName") == name
            if same and other["metadata"]["uid"] != key.uid and status.get("phase") in ACTIVE:
                return str(other["metadata"]["name"])
        return None

    def _missing_class(self, spec: VirtualMachineMigrationSpec) -> str | None:
        for field, name in (
            ("spec.target.disks", spec.target.disks.storage_class_name),
            ("spec.job.workspace", spec.job.workspace.storage_class_name),
        ):
            if name and self._client.get(Resources.STORAGE_CLASS.value, None, name) is None:
                return f"{field}.storageClassName: there is no StorageClass {name}"
        return None


def read_status(migration: KubeObject) -> VirtualMachineMigrationStatus:
    """A migration's status; an empty one when it has none, or one that this version does not understand."""
    try:
        return parse(VirtualMachineMigrationStatus, migration.get("status", {}), "status")
    except SpecError:
        return _EMPTY


def macs(virtual_machine: KubeObject) -> list[str]:
    """The MAC addresses that a VirtualMachine states, in lower case."""
    domain = virtual_machine["spec"].get("template", {}).get("spec", {}).get("domain", {})
    interfaces = domain.get("devices", {}).get("interfaces", [])
    return [interface["macAddress"].lower().replace("-", ":") for interface in interfaces if "macAddress" in interface]


def _place(value: KubeObject) -> tuple[str, str]:
    return value["metadata"]["namespace"], value["metadata"]["name"]
