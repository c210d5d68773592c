"""Observes one migration: the cache for what watches tell, requests for the rest, only as the phase needs them."""

import datetime as dt
from collections.abc import Sequence
from functools import partial

from hyper2kvm_api.errors import SpecError
from hyper2kvm_api.migration import Phase, VirtualMachineMigrationSpec, VirtualMachineMigrationStatus
from hyper2kvm_operator.build import imageserver
from hyper2kvm_operator.build.metadata import MigrationKey
from hyper2kvm_operator.kube.cache import Cache
from hyper2kvm_operator.kube.client import KubeClient, KubeObject
from hyper2kvm_operator.kube.overview import Overview
from hyper2kvm_operator.kube.resources import ROLE_LABEL, Resources
from hyper2kvm_operator.reconcile.migration.abilities import AbilityReader
from hyper2kvm_operator.reconcile.migration.apply import FINALIZER
from hyper2kvm_operator.reconcile.migration.decision import ACTIVE
from hyper2kvm_operator.reconcile.migration.effective import counting
from hyper2kvm_operator.reconcile.migration.needs import lacking
from hyper2kvm_operator.reconcile.migration.neighbours import NeighbourReader
from hyper2kvm_operator.reconcile.migration.observed import Abilities, JobOutcome, JobState, Observed
from hyper2kvm_operator.reconcile.migration.progress import Progress, read_machine, read_progress, read_report
from hyper2kvm_operator.reconcile.migration.read import (
    alive,
    newest_event,
    own,
    read_claim,
    read_data_volume,
    read_job,
    read_pod,
    stored_status,
)
from hyper2kvm_operator.reconcile.migration.slots import parked, slot
from hyper2kvm_operator.reconcile.migration.told import LogReader, Told
from hyper2kvm_operator.settings import Settings

_PROGRESS_LINES = 60
_LAST_LINES = 200
"""Lines that are read of a log: while its pod runs, and after its end, when the report is among them."""

_STARTED = {*ACTIVE, Phase.SUCCEEDED, Phase.FAILED}

_NOTHING_TOLD = Told()

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
        self._neighbours = NeighbourReader(client, cache, settings)

    def observe(self, migration: KubeObject, now: dt.datetime) -> Observed:
        """Everything that decides what happens next to one migration.

        Raises:
            SpecError: its status is of another version's form: it is left alone.
            RefusedError, UnreachableError: of the API server.
        """
        metadata = migration["metadata"]
        key = MigrationKey(metadata["namespace"], metadata["name"], metadata["uid"])
        status = stored_status(migration)
        counts = counting(migration, status, self._cache)
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
        serving = next((pod for pod in pods if _serves(pod)), None)
        handing_off = status.phase is Phase.HANDING_OFF
        return Observed(
            key=key,
            generation=metadata["generation"],
            deleting="deletionTimestamp" in metadata,
            finalizer=FINALIZER in metadata.get("finalizers", []),
            cancel=bool(migration["spec"].get("cancel")),
            suspend=bool(migration["spec"].get("suspend")),
            spec=counts.spec,
            edited=counts.edited,
            migration={**migration, "spec": counts.values},
            status=status.replaced(blocked=None),
            blocked=status.blocked,
            settings=self._settings,
            now=now,
            free_slot=free,
            ahead=ahead,
            abilities=self._abilities.read(partial(_suffice, counts.spec, status.phase)),
            plan_job=plan_job,
            convert_job=convert_job,
            claims=tuple(read_claim(claim, warnings) for claim in claims),
            data_volumes=tuple(read_data_volume(volume) for volume in self._children(key, Resources.DATA_VOLUME)),
            serve_pod=read_pod(serving, warnings) if serving else None,
            certificate=handing_off and self._certificate(key),
            pods=sum(alive(pod) for pod in pods),
            virtual_machine=self._virtual_machine(key, status) if handing_off else None,
            neighbours=self._neighbours.read(key, counts.spec, machine) if machine else None,
            progress=progress,
            machine=machine,
            report=report,
            untold=told.trouble,
        )

    def _slot(self, migration: KubeObject, status: VirtualMachineMigrationStatus) -> tuple[bool, int]:
        """Whether it may start or go on, and how many wait before it; only who does not work asks all others."""
        seen = Overview.of(migration)
        if status.phase in _STARTED and not parked(seen):
            return True, 0
        return slot(seen, self._cache.migrations(), self._settings.max_concurrent)

    def _children(self, key: MigrationKey, kind: Resources) -> list[KubeObject]:
        return self._cache.children(kind.value, key.uid)

    def _warnings(
        self,
        key: MigrationKey,
        status: VirtualMachineMigrationStatus,
        pods: Sequence[KubeObject],
        others: Sequence[KubeObject],
    ) -> list[KubeObject]:
        """Warning Events about its children, where something may be stuck: no pod of an active migration runs yet.

        One counts until something else is told of its object, such as that a pod is scheduled after all.
        """
        running = any(pod.get("status", {}).get("phase") == "Running" for pod in pods)
        if status.phase not in ACTIVE or running:
            return []
        about = {one["metadata"]["uid"] for one in (*pods, *others)}
        told = self._client.each(Resources.EVENT.value, key.namespace, fields="type=Warning")
        warned = {
            event["involvedObject"]["uid"] for event in told if event.get("involvedObject", {}).get("uid") in about
        }
        newest = (
            newest_event(self._client.each(Resources.EVENT.value, key.namespace, fields=f"involvedObject.uid={uid}"))
            for uid in sorted(warned)
        )
        return [event for event in newest if event is not None and event.get("type") == "Warning"]

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
        return str(found["metadata"]["uid"]) if found is not None and own(key, found) else None


def _serves(pod: KubeObject) -> bool:
    """Whether a pod is the image server, and stays it."""
    metadata = pod["metadata"]
    return metadata["labels"].get(ROLE_LABEL) == imageserver.ROLE and "deletionTimestamp" not in metadata


def _converted(
    told: Told, status: VirtualMachineMigrationStatus, job: JobState | None
) -> tuple[Progress | None, tuple[tuple[str, str], ...]]:
    """How far the conversion is, and, once it has ended, its report."""
    if told.text is None or status.phase is not Phase.CONVERTING or job is None:
        return None, ()
    return read_progress(told.text), read_report(told.text) if job.outcome is not JobOutcome.RUNNING else ()


def _suffice(spec: VirtualMachineMigrationSpec | SpecError, phase: Phase | None, found: Abilities) -> bool:
    """Whether abilities that were read a while ago will do: nothing fails for want of what was made since."""
    return phase not in _NEEDING or isinstance(spec, SpecError) or not lacking(spec, found)
