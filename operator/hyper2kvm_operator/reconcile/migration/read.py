"""Reads Kubernetes objects (JSON) into what is observed."""

import datetime as dt
from collections.abc import Sequence

import pydantic

from hyper2kvm_api.result import Result
from hyper2kvm_operator.build.job import PLAN_DIGEST
from hyper2kvm_operator.build.pod import CONTAINER
from hyper2kvm_operator.kube.client import KubeObject
from hyper2kvm_operator.kube.resources import MIGRATION_LABEL
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


def moment(text: str) -> dt.datetime:
    """A time as Kubernetes writes it."""
    return dt.datetime.fromisoformat(text)


def read_job(job: KubeObject, pods: Sequence[KubeObject], warnings: Sequence[KubeObject]) -> JobState:
    """A Job with its pods and the warning Events about them."""
    status = job.get("status", {})
    uid = job["metadata"]["uid"]
    own = [pod for pod in pods if any(owner.get("uid") == uid for owner in pod["metadata"].get("ownerReferences", []))]
    newest = max(own, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)
    conditions = {c["type"]: c for c in status.get("conditions", []) if c.get("status") == "True"}
    outcome, trouble = JobOutcome.RUNNING, _event_trouble(job, warnings)
    if "Complete" in conditions:
        outcome = JobOutcome.SUCCEEDED
    elif "Failed" in conditions:
        outcome = JobOutcome.FAILED
        trouble = Trouble(conditions["Failed"].get("reason", ""), conditions["Failed"].get("message", ""))
    return JobState(
        name=job["metadata"]["name"],
        outcome=outcome,
        suspended=bool(job["spec"].get("suspend")),
        failed=status.get("failed", 0),
        digest=job["metadata"].get("annotations", {}).get(PLAN_DIGEST),
        trouble=trouble,
        pod=read_pod(newest, warnings) if newest else None,
    )


def read_pod(pod: KubeObject, warnings: Sequence[KubeObject]) -> PodState:
    """A pod and what is wrong with it."""
    status = pod.get("status", {})
    container: KubeObject = next((c for c in status.get("containerStatuses", []) if c["name"] == CONTAINER), {})
    state = container.get("state", {})
    ended = state.get("terminated")
    return PodState(
        name=pod["metadata"]["name"],
        created=moment(pod["metadata"]["creationTimestamp"]),
        running="running" in state,
        trouble=_pod_trouble(pod, state, warnings),
        exit_code=ended.get("exitCode") if ended else None,
        exit_reason=ended.get("reason") if ended else None,
        result=_result(ended.get("message", "")) if ended else None,
    )


def read_claim(claim: KubeObject, warnings: Sequence[KubeObject]) -> ClaimState:
    """A claim."""
    return ClaimState(
        name=claim["metadata"]["name"],
        owner=claim["metadata"].get("labels", {}).get(MIGRATION_LABEL),
        phase=claim.get("status", {}).get("phase", "Pending"),
        trouble=_event_trouble(claim, warnings),
    )


def read_data_volume(volume: KubeObject) -> DataVolumeState:
    """A DataVolume."""
    status = volume.get("status", {})
    running: KubeObject = next((c for c in status.get("conditions", []) if c["type"] == "Running"), {})
    return DataVolumeState(
        name=volume["metadata"]["name"],
        phase=status.get("phase", "Pending"),
        progress=status.get("progress"),
        message=running.get("message") if running.get("status") == "False" else None,
        restarts=status.get("restartCount", 0),
    )


def alive(pod: KubeObject) -> bool:
    """Whether a pod has not ended."""
    return pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}


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
    about = [event for event in warnings if event.get("involvedObject", {}).get("uid") == uid]
    newest = max(about, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""), default=None)
    return Trouble(newest.get("reason", ""), newest.get("message", "")) if newest else None


def _result(message: str) -> Result | None:
    try:
        return Result.model_validate_json(message)
    except pydantic.ValidationError:
        return None
