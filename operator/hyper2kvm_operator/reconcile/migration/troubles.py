"""What Kubernetes says when a pod does not start or a Job fails, and what that means here."""

import re
from dataclasses import dataclass

from hyper2kvm_api.migration import Failure
from hyper2kvm_api.reasons import Reason
from hyper2kvm_operator.reconcile.migration.decision import cluster_failure
from hyper2kvm_operator.reconcile.migration.observed import JobState, Trouble


@dataclass(frozen=True)
class _Meaning:
    kind: str
    words: str
    reason: Reason


_MEANINGS = (
    _Meaning(r"FailedCreate", r"violates PodSecurity", Reason.POD_SECURITY_FORBIDDEN),
    _Meaning(r"FailedCreate|Forbidden", r"exceeded quota", Reason.QUOTA_EXCEEDED),
    _Meaning(r"ErrImagePull|ImagePullBackOff|InvalidImageName|ErrImageNeverPull", r"", Reason.IMAGE_PULL_FAILED),
    _Meaning(r"FailedMount|CreateContainerConfigError", r"secrets? \"?[^\"]*\"? not found", Reason.SECRET_MISSING),
    _Meaning(r"Unschedulable", r"persistentvolumeclaim \"[^\"]*\" not found", Reason.SOURCE_VOLUME_MISSING),
    _Meaning(r"Unschedulable", r"unbound immediate PersistentVolumeClaims", Reason.CLAIM_NOT_BOUND),
    _Meaning(r"ProvisioningFailed", r"", Reason.CLAIM_NOT_BOUND),
    _Meaning(r"Unschedulable", r"", Reason.POD_UNSCHEDULABLE),
    _Meaning(r"DeadlineExceeded", r"", Reason.DEADLINE_EXCEEDED),
)
"""Kubernetes' reason and words → ours; the first row that fits counts."""

HOPELESS = {
    Reason.SOURCE_VOLUME_MISSING,
    Reason.SECRET_MISSING,
    Reason.POD_SECURITY_FORBIDDEN,
    Reason.IMAGE_PULL_FAILED,
}
"""Troubles that only a person can end: they get a short grace, not the whole deadline."""

GRACE = 45.0
"""Seconds that a hopeless trouble may last: objects that are applied together may appear in any order."""

SETTLE = 20.0
"""Seconds that a trouble without a name here may last untold: kubelets try again, and most such warnings pass."""


def meaning(trouble: Trouble) -> Reason:
    """Our reason for a trouble of Kubernetes."""
    for row in _MEANINGS:
        if re.fullmatch(row.kind, trouble.kind) and re.search(row.words, trouble.message):
            return row.reason
    return Reason.POD_NOT_STARTED


def job_failure(job: JobState) -> Failure:
    """Why a Job failed: the pod's own verdict where it left one, else what Kubernetes says of its end."""
    pod = job.pod
    if pod is not None and pod.result is not None and pod.result.failure is not None:
        return pod.result.failure
    told = job.trouble.message if job.trouble else "no reason was given"
    if job.trouble is not None and job.trouble.kind == "DeadlineExceeded":
        return cluster_failure(Reason.DEADLINE_EXCEEDED, f"{job.name}: {told}")
    if pod is not None and pod.exit_reason == "OOMKilled":
        return cluster_failure(Reason.OUT_OF_MEMORY, f"{pod.name}: the container was killed (OOMKilled)")
    ended = f"; the last pod, {pod.name}, ended with {pod.exit_code} ({pod.exit_reason})" if pod else ""
    return cluster_failure(Reason.RETRIES_EXHAUSTED, f"{job.name}: {told}{ended}")


def stuck(job: JobState) -> Trouble | None:
    """Why a Job that should work does not: it makes no pod, or its pod does not start."""
    if job.pod is None:
        return job.trouble
    return None if job.pod.running or job.pod.exit_code is not None else job.pod.trouble
