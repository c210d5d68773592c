"""What Kubernetes says when a pod does not start or a Job fails, and what that means here."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hyper2kvm_api.migration import Failure
from hyper2kvm_api.reasons import Reason
from hyper2kvm_operator.reconcile.migration.decision import failure_for
from hyper2kvm_operator.reconcile.migration.observed import ClaimState, JobState, PodState, Trouble


@dataclass(frozen=True)
class _Meaning:
    kind: str
    words: str
    reason: Reason


_MISSING_CLAIM = r"persistentvolumeclaim \"([^\"]*)\" not found"

_MEANINGS = (
    _Meaning(r"FailedCreate", r"violates PodSecurity|any security context constraint", Reason.POD_SECURITY_FORBIDDEN),
    _Meaning(r"FailedCreate", r"serviceaccount \"[^\"]*\" not found", Reason.SERVICE_ACCOUNT_MISSING),
    _Meaning(r"FailedCreate|Forbidden", r"exceeded quota", Reason.QUOTA_EXCEEDED),
    _Meaning(r"ErrImagePull|ImagePullBackOff|InvalidImageName|ErrImageNeverPull", r"", Reason.IMAGE_PULL_FAILED),
    _Meaning(r"FailedMount|CreateContainerConfigError", r"secrets? \"?[^\"]*\"? not found", Reason.SECRET_MISSING),
    _Meaning(r"Unschedulable", _MISSING_CLAIM, Reason.SOURCE_VOLUME_MISSING),
    _Meaning(r"Unschedulable", r"persistentvolumeclaim \"[^\"]*\" is being deleted", Reason.CLAIM_NOT_BOUND),
    _Meaning(r"Unschedulable", r"unbound immediate PersistentVolumeClaims", Reason.CLAIM_NOT_BOUND),
    _Meaning(r"ProvisioningFailed", r"", Reason.CLAIM_NOT_BOUND),
    _Meaning(r"Unschedulable", r"", Reason.POD_UNSCHEDULABLE),
    _Meaning(r"DeadlineExceeded", r"", Reason.DEADLINE_EXCEEDED),
)
"""Kubernetes' reason and words → ours; the first row that fits counts."""

_HOPELESS = {
    Reason.SOURCE_VOLUME_MISSING,
    Reason.SECRET_MISSING,
    Reason.SERVICE_ACCOUNT_MISSING,
    Reason.POD_SECURITY_FORBIDDEN,
}
_HOPELESS_KINDS = {"InvalidImageName", "ErrImageNeverPull"}
"""Troubles that only a person can end."""

_GRACE = 45.0
"""Seconds that a hopeless trouble may last: objects that are applied together may appear in any order."""

SETTLE = 20.0
"""Seconds that a trouble without a name here may last untold: kubelets try again, and most such warnings pass."""


def patience(trouble: Trouble) -> float | None:
    """Seconds that a trouble may last; None for as long as the operator's setting says."""
    hopeless = meaning(trouble) in _HOPELESS or trouble.kind in _HOPELESS_KINDS
    return _GRACE if hopeless else None


def meaning(trouble: Trouble) -> Reason:
    """Our reason for a trouble of Kubernetes."""
    for row in _MEANINGS:
        if re.fullmatch(row.kind, trouble.kind) and re.search(row.words, trouble.message):
            return row.reason
    return Reason.POD_NOT_STARTED


def missing_claim(trouble: Trouble) -> str | None:
    """The name of the claim that a pod waits for and that does not exist."""
    found = re.search(_MISSING_CLAIM, trouble.message)
    return found[1] if found else None


def job_failure(job: JobState) -> Failure:
    """Why a Job failed: the pod's own verdict where it left one, else what Kubernetes says of its end."""
    if job.pod is not None and job.pod.result is not None and job.pod.result.failure is not None:
        return job.pod.result.failure
    told = job.trouble.message if job.trouble else "no reason was given"
    if job.trouble is not None and job.trouble.kind == "DeadlineExceeded":
        return failure_for(Reason.DEADLINE_EXCEEDED, f"{job.name}: {told}")
    if job.pod is None:
        return failure_for(Reason.RETRIES_EXHAUSTED, f"{job.name}: {told}")
    if job.pod.exit_reason == "OOMKilled":
        return pod_failure(job.pod)
    return failure_for(Reason.RETRIES_EXHAUSTED, f"{job.name}: {told}; the last pod, {_end(job.pod)}")


def pod_failure(pod: PodState) -> Failure:
    """Why one pod failed."""
    if pod.result is not None and pod.result.failure is not None:
        return pod.result.failure
    if pod.exit_reason == "OOMKilled":
        return failure_for(Reason.OUT_OF_MEMORY, f"{pod.name}: the container was killed (OOMKilled)")
    return failure_for(Reason.POD_ENDED, _end(pod))


def stuck(job: JobState, claims: Sequence[ClaimState]) -> Trouble | None:
    """Why a Job that should work does not: it makes no pod, or its pod does not start.

    A pod that waits for a claim says only so; what the claim waits for, its own Events say.
    """
    if job.pod is None or job.pod.ended or job.pod.exit_code is not None:
        return job.trouble
    if job.pod.running or job.pod.trouble is None:
        return None
    refused = next((claim for claim in claims if not claim.bound and claim.trouble is not None), None)
    if refused is not None and refused.trouble is not None:
        return Trouble(refused.trouble.kind, f"claim {refused.name}: {refused.trouble.message}")
    return job.pod.trouble


def _end(pod: PodState) -> str:
    code = "without a word" if pod.exit_code is None else f"with {pod.exit_code}"
    return f"{pod.name}, ended {code} ({pod.exit_reason or 'no reason was given'})"
