"""Reads Kubernetes objects (JSON) into what is observed."""

import datetime as dt
from collections.abc import Iterable, Sequence

import pydantic

from hyper2kvm_api.errors import SpecError
from hyper2kvm_api.manifest import parse_stored
from hyper2kvm_api.migration import VirtualMachineMigrationStatus
from hyper2kvm_api.options import VolumeMode
from hyper2kvm_api.result import Result
from hyper2kvm_api.scalars import quantity_bytes
from hyper2kvm_operator.build.job import CONTENT_DIGEST, PLAN_DIGEST
from hyper2kvm_operator.build.metadata import MigrationKey
from hyper2kvm_operator.build.pod import CONTAINER
from hyper2kvm_operator.kube.cache import version_of
from hyper2kvm_operator.kube.client import KubeObject
from hyper2kvm_operator.kube.resources import MIGRATION_LABEL, SUSPENDED
from hyper2kvm_operator.reconcile.migration.observed import (
    ClaimState,
    DataVolumeState,
    JobOutcome,
    JobState,
    PodState,
    Trouble,
)

_QUIET = {"ContainerCreating", "PodInitializing"}
"""Reasons of waiting that are no trouble."""

_EMPTY = VirtualMachineMigrationStatus()


def moment(text: str) -> dt.datetime:
    """A time as Kubernetes writes it."""
    return dt.datetime.fromisoformat(text)


def read_job(job: KubeObject, pods: Sequence[KubeObject], warnings: Sequence[KubeObject]) -> JobState:
    """A Job with its pods and the warning Events about them."""
    status = job.get("status", {})
    uid, annotations = job["metadata"]["uid"], job["metadata"].get("annotations", {})
    own = [pod for pod in pods if any(owner.get("uid") == uid for owner in pod["metadata"].get("ownerReferences", []))]
    conditions = {c["type"]: c for c in status.get("conditions", []) if c.get("status") == "True"}
    outcome, trouble = JobOutcome.RUNNING, _event_trouble(job, warnings)
    if "Complete" in conditions:
        outcome = JobOutcome.SUCCEEDED
    elif "Failed" in conditions:
        outcome = JobOutcome.FAILED
        trouble = Trouble(conditions["Failed"].get("reason", ""), conditions["Failed"].get("message", ""))
    failed = [pod for pod in own if pod.get("status", {}).get("phase") == "Failed"]
    return JobState(
        name=job["metadata"]["name"],
        uid=uid,
        created=moment(job["metadata"]["creationTimestamp"]),
        outcome=outcome,
        suspended=bool(job["spec"].get("suspend")),
        held=SUSPENDED in annotations,
        failed=status.get("failed", 0),
        digest=annotations.get(PLAN_DIGEST),
        content=annotations.get(CONTENT_DIGEST),
        trouble=trouble,
        pod=read_pod(newest, warnings) if (newest := _newest(own)) else None,
        last_failed=read_pod(ended, ()) if (ended := _newest(failed)) else None,
    )


def read_pod(pod: KubeObject, warnings: Sequence[KubeObject]) -> PodState:
    """A pod and what is wrong with it."""
    status = pod.get("status", {})
    container: KubeObject = next((c for c in status.get("containerStatuses", []) if c["name"] == CONTAINER), {})
    state = container.get("state", {})
    over: KubeObject = state.get("terminated", {})
    return PodState(
        name=pod["metadata"]["name"],
        uid=pod["metadata"]["uid"],
        created=moment(pod["metadata"]["creationTimestamp"]),
        running="running" in state,
        ended=not alive(pod),
        trouble=_pod_trouble(pod, state, warnings),
        exit_code=over.get("exitCode"),
        exit_reason=status.get("reason") or over.get("reason"),
        result=_result(over.get("message", "")) if over else None,
        node=pod.get("spec", {}).get("nodeName"),
        gone_by=moment(told) if (told := pod["metadata"].get("deletionTimestamp")) else None,
    )


def read_claim(claim: KubeObject, warnings: Sequence[KubeObject]) -> ClaimState:
    """A claim."""
    metadata, spec = claim["metadata"], claim.get("spec", {})
    return ClaimState(
        name=metadata["name"],
        uid=metadata["uid"],
        created=moment(metadata["creationTimestamp"]),
        owner=metadata.get("labels", {}).get(MIGRATION_LABEL),
        storage_class=spec.get("storageClassName"),
        mode=VolumeMode(spec.get("volumeMode", VolumeMode.FILESYSTEM.value)),
        access_modes=tuple(spec.get("accessModes", ())),
        requested=_requested(spec),
        bound=claim.get("status", {}).get("phase") == "Bound",
        going="deletionTimestamp" in metadata,
        trouble=_event_trouble(claim, warnings),
    )


def _requested(spec: KubeObject) -> int | None:
    try:
        return quantity_bytes(spec.get("resources", {}).get("requests", {}).get("storage", ""))
    except ValueError:  # Kubernetes has notations that we never write, such as 1E or 1e3
        return None


def read_data_volume(volume: KubeObject) -> DataVolumeState:
    """A DataVolume."""
    status = volume.get("status", {})
    running: KubeObject = next((c for c in status.get("conditions", []) if c["type"] == "Running"), {})
    return DataVolumeState(
        name=volume["metadata"]["name"],
        uid=volume["metadata"]["uid"],
        phase=status.get("phase", "Pending"),
        progress=status.get("progress"),
        message=running.get("message") if running.get("status") == "False" else None,
        restarts=status.get("restartCount", 0),
    )


def alive(pod: KubeObject) -> bool:
    """Whether a pod has not ended."""
    return pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}


def _newest(pods: Sequence[KubeObject]) -> KubeObject | None:
    return max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)


def _pod_trouble(pod: KubeObject, state: KubeObject, warnings: Sequence[KubeObject]) -> Trouble | None:
    waiting = state.get("waiting", {})
    if waiting.get("reason") and waiting["reason"] not in _QUIET:
        return Trouble(waiting["reason"], waiting.get("message", ""))
    scheduled: KubeObject = next(
        (c for c in pod.get("status", {}).get("conditions", []) if c["type"] == "PodScheduled"), {}
    )
    if scheduled.get("status") == "False":
        return Trouble(scheduled.get("reason", ""), scheduled.get("message", ""))
    return _event_trouble(pod, warnings)


def _event_trouble(value: KubeObject, warnings: Sequence[KubeObject]) -> Trouble | None:
    uid = value["metadata"].get("uid")
    newest = newest_event(event for event in warnings if event.get("involvedObject", {}).get("uid") == uid)
    return Trouble(newest.get("reason", ""), newest.get("message", "")) if newest else None


def newest_event(events: Iterable[KubeObject]) -> KubeObject | None:
    """The Event that was written last: one that is repeated is written again, whichever of its times that changes."""
    return max(events, key=version_of, default=None)


def _result(message: str) -> Result | None:
    try:
        return Result.model_validate_json(message)
    except pydantic.ValidationError:
        return None


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


def own(key: MigrationKey, value: KubeObject) -> bool:
    """Whether an object was made for a migration."""
    return bool(value["metadata"].get("labels", {}).items() >= key.labels.items())
