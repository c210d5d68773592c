"""Converting: the pipeline runs in a pod; its progress is shown, its verdict read."""

from dataclasses import replace

from hyper2kvm_api.migration import (
    MAX_WARNINGS,
    BootStatus,
    DiskStatus,
    Mode,
    Phase,
    VirtualMachineMigrationSpec,
    VirtualMachineMigrationStatus,
)
from hyper2kvm_api.options import KvmMode
from hyper2kvm_api.result import Result
from hyper2kvm_operator.build.claims import WORKSPACE
from hyper2kvm_operator.build.configmap import (
    content_digest,
    plan_config,
    plan_digest,
    plan_name,
    report_config,
    report_name,
)
from hyper2kvm_operator.build.job import CONTENT_DIGEST, PLAN_DIGEST, Kvm, convert_job
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.reconcile.migration.decision import (
    Action,
    Apply,
    Decision,
    Ensure,
    Occurrence,
    enter,
    failed,
    with_condition,
)
from hyper2kvm_operator.reconcile.migration.observed import Abilities, JobOutcome, JobState, Observed
from hyper2kvm_operator.reconcile.migration.phases.provisioning import make_plan, remove_claims, target_volumes
from hyper2kvm_operator.reconcile.migration.phases.starting import (
    LOOK_AGAIN,
    lost,
    not_started,
    remove,
    still_lost,
    untold_end,
)
from hyper2kvm_operator.reconcile.migration.progress import copied_percent, read_digests
from hyper2kvm_operator.reconcile.migration.troubles import SETTLE, job_failure, missing_claim, pod_failure

_RATE_UNIT = 1024 * 1024

_CONVERTING_AGAIN = "converting again: the plan has changed"
_PREPARING_AGAIN = "preparing volumes again"
"""Progress after the removal of an outdated Job, and of one whose claims are gone."""


def decide(o: Observed, spec: VirtualMachineMigrationSpec) -> Decision:
    """Start the convert Job, follow it, and read its verdict."""
    job = o.convert_job
    if job is None:
        return Decision(still_lost(o), _start(o, spec), requeue=LOOK_AGAIN)
    if job.outcome is JobOutcome.RUNNING:
        if _waits_for_deleted(o, spec, job):
            return _provisioned_again(o, job)
        return not_started(o, job, "Converted") or _running(o, job)
    waiting = untold_end(o, job)
    if waiting is not None:
        return waiting
    if _outdated(o, spec, job):
        return _converted_again(o, spec, job)
    if job.outcome is JobOutcome.SUCCEEDED and not _holds(o, spec, job):
        return _started_over(o, spec, job, _PREPARING_AGAIN)
    return _ended(o, spec, job)


def kvm_mode(spec: VirtualMachineMigrationSpec, default: KvmMode, abilities: Abilities) -> Kvm:
    """How the pod gets at KVM: what the user says, else what the operator says, else what the nodes offer."""
    wanted = spec.job.kvm or default
    if wanted is KvmMode.AUTO:
        return Kvm.DEVICE_PLUGIN if abilities.kvm_nodes else Kvm.PRIVILEGED
    return Kvm(wanted.value)


def _start(o: Observed, spec: VirtualMachineMigrationSpec) -> tuple[Action, ...]:
    machine = o.status.machine
    if machine is None:
        return ()
    dry_run = spec.mode is Mode.PLAN
    job = convert_job(
        o.key,
        spec,
        o.settings,
        plan_name(o.key),
        () if dry_run else target_volumes(o, spec),
        kvm_mode(spec, o.settings.kvm, o.abilities),
        workspace=None if dry_run else o.key.child(WORKSPACE),
    )
    plan = make_plan(o, spec, machine)
    job["metadata"].setdefault("annotations", {}).update(
        {PLAN_DIGEST: plan_digest(plan), CONTENT_DIGEST: content_digest(plan, machine)}
    )
    described = (remove(o.plan_job),) if o.plan_job else ()
    return Apply(Resources.CONFIG_MAP.value, plan_config(o.key, plan)), Ensure(Resources.JOB.value, job), *described


def _outdated(o: Observed, spec: VirtualMachineMigrationSpec, job: JobState) -> bool:
    """Whether the Job ran for another plan. Disks that were handed off are never written again."""
    machine = o.status.machine
    if machine is None or any(disk.handed_off for disk in o.status.disks):
        return False
    return job.digest is not None and job.digest != plan_digest(make_plan(o, spec, machine))


def _holds(o: Observed, spec: VirtualMachineMigrationSpec, job: JobState) -> bool:
    """Whether the claims are those that the Job has written: one that was made after it is empty."""
    made = {claim.name: claim.created for claim in o.claims if not claim.going}
    return all(target.claim in made and made[target.claim] <= job.created for target in target_volumes(o, spec))


def _waits_for_deleted(o: Observed, spec: VirtualMachineMigrationSpec, job: JobState) -> bool:
    """Whether the pod does not start because somebody has deleted a claim of this migration's own."""
    trouble = job.pod.trouble if job.pod else None
    if trouble is None or _young(o, job):
        return False
    return missing_claim(trouble) in _own_claims(o, spec)


def _young(o: Observed, job: JobState) -> bool:
    """Whether the newest pod was made just now, or is not there yet: more may soon be known."""
    return job.pod is None or (o.now - job.pod.created).total_seconds() < SETTLE


def _converted_again(o: Observed, spec: VirtualMachineMigrationSpec, job: JobState) -> Decision:
    """Told once: a Job that is being deleted may be seen several times."""
    if _finished_others(o, spec, job):
        again = _started_over(o, spec, job, _CONVERTING_AGAIN)
    else:
        again = Decision(o.status.replaced(progress=_CONVERTING_AGAIN), (remove(job),), requeue=1.0)
    told = Occurrence("PlanChanged", "The plan has changed: converting again.")
    return again if o.status.progress == _CONVERTING_AGAIN else replace(again, occurrences=(told,))


def _started_over(o: Observed, spec: VirtualMachineMigrationSpec, job: JobState, message: str) -> Decision:
    """Go back to new claims: no run writes finished disks again.

    What the Job has written goes before the Job, which tells it from what was made since; the workspace too, which says
    that the disks are finished.
    """
    own = _own_claims(o, spec) - {disk.claim_name for disk in o.status.disks if disk.handed_off}
    written = [one for one in o.claims if one.name in own and one.created <= job.created and not one.going]
    if written:
        return Decision(o.status.replaced(progress=message), remove_claims(written), requeue=1.0)
    return Decision(enter(o, Phase.PROVISIONING, message), (remove(job),), requeue=1.0)


def _finished_others(o: Observed, spec: VirtualMachineMigrationSpec, job: JobState) -> bool:
    """Whether a Job has finished disks with another content than they are to have now."""
    if job.outcome is not JobOutcome.SUCCEEDED or job.content is None or o.status.machine is None:
        return False
    return job.content != content_digest(make_plan(o, spec, o.status.machine), o.status.machine)


def _own_claims(o: Observed, spec: VirtualMachineMigrationSpec) -> set[str]:
    """The names of the claims that the pod writes to."""
    return {o.key.child(WORKSPACE), *(target.claim for target in target_volumes(o, spec))}


def _provisioned_again(o: Observed, job: JobState) -> Decision:
    """For another pod that goes on: what has been copied to the other claims stays."""
    return Decision(enter(o, Phase.PROVISIONING, _PREPARING_AGAIN), (remove(job),), requeue=1.0)


def _running(o: Observed, job: JobState) -> Decision:
    status = still_lost(o).replaced(attempts=_attempts(o, job))
    told = o.progress
    if told is not None:
        disks = [told.disk_status(disk) for disk in status.disks]
        percent = copied_percent(disks)
        status = status.replaced(
            stage=told.stage,
            percent=status.percent if percent is None else percent,
            progress=_line(told.stage, percent, told.rate) or status.progress,
            disks=disks,
            warnings=_merged(status, told.warnings),
        )
    occurrences = [*_retried(o, job), *_entered(o, told.stage if told else None)]
    status = status.replaced(warnings=_merged(status, tuple(one.message for one in occurrences if one.warning)))
    message = f"the pod's log cannot be read: {o.untold}" if o.untold else status.progress or "starting"
    status = with_condition(o, status, "Converted", holds=False, reason=status.stage or "Starting", message=message)
    return Decision(status, requeue=LOOK_AGAIN, occurrences=tuple(occurrences))


def _attempts(o: Observed, job: JobState) -> int:
    """Not more than before until the pod whose failure the Job has counted is seen, so that its reason is told.

    It may be gone for good: a while after its successor was made it is waited for no more.
    """
    attempts = job.failed + 1
    awaited = job.last_failed is None and _young(o, job)
    return min(o.status.attempts or 1, attempts) if awaited else attempts


def _retried(o: Observed, job: JobState) -> list[Occurrence]:
    """What made the Job start another pod, once for each."""
    before = o.status.attempts or 1
    if job.last_failed is None or job.failed < before:
        return []
    failure = pod_failure(job.last_failed)
    return [Occurrence("Retrying", f"attempt {job.failed} ended, {failure.reason}: {failure.message}", warning=True)]


def _entered(o: Observed, stage: str | None) -> list[Occurrence]:
    return [Occurrence(f"{stage}Started", f"Stage {stage}.")] if stage is not None and stage != o.status.stage else []


def _ended(o: Observed, spec: VirtualMachineMigrationSpec, job: JobState) -> Decision:
    report: tuple[Action, ...] = ()
    if o.untold:
        warning = f"ReportIncomplete: the pod's log cannot be read: {o.untold}"
        o = replace(o, status=o.status.replaced(warnings=_merged(o.status, (warning,))))
    if o.report:
        built = report_config(o.key, dict(o.report))
        report = (Apply(Resources.CONFIG_MAP.value, built.config),)
        lacking = tuple(f"ReportIncomplete: {name} is too large for a ConfigMap" for name in built.left_out)
        status = o.status.replaced(report=report_name(o.key), warnings=_merged(o.status, lacking))
        o = replace(o, status=status)
    result = job.pod.result if job.pod else None
    if job.outcome is JobOutcome.FAILED:
        return _failure(o, job, report)
    if result is None or (o.untold and spec.mode is Mode.PLAN):  # of a dry run the report is all there is
        return lost(o, job, "Converted")
    return _success(o, spec, result, report)


def _failure(o: Observed, job: JobState, report: tuple[Action, ...]) -> Decision:
    failure = job_failure(job)
    decision = failed(o, failure)
    condition = "Validated" if failure.stage == "Validate" else "Converted"
    status = with_condition(
        o,
        decision.status,
        condition,
        holds=False,
        reason=failure.reason,
        message=f"{failure.message} {failure.hint or ''}".strip(),
    )
    return Decision(status, (*decision.actions, *report), occurrences=decision.occurrences)


def _success(o: Observed, spec: VirtualMachineMigrationSpec, result: Result, report: tuple[Action, ...]) -> Decision:
    digests = {**read_digests(o.report), **{disk.id: disk.digest for disk in result.disks}}
    fields: dict[str, object] = {
        "percent": 100,
        "boot": result.boot,
        "firmware": result.firmware or o.status.firmware,
        "boot_disk": result.boot_disk,
        "repaired": result.repaired,
        "warnings": _merged(o.status, result.warnings),
        "disks": [_told(o, disk).replaced(digest=digests.get(disk.id)) for disk in o.status.disks],
    }
    if spec.mode is Mode.PLAN:
        status = enter(o, Phase.SUCCEEDED, "examined; the report has the changes as a diff", **fields)
        return Decision(status, report, occurrences=(Occurrence("Examined", "The dry run is over; see the report."),))
    status = enter(o, Phase.HANDING_OFF, "handing off", **fields)
    status = with_condition(
        o, status, "Converted", holds=True, reason="Copied", message=f"{len(status.disks)} disks copied and read back"
    )
    reason, message = _validated(result.boot)
    status = with_condition(o, status, "Validated", holds=True, reason=reason, message=message)
    return Decision(status, report, requeue=0.0, occurrences=(Occurrence("Converted", "All disks are copied."),))


def _told(o: Observed, disk: DiskStatus) -> DiskStatus:
    return o.progress.disk_status(disk) if o.progress else disk


def _validated(boot: BootStatus | None) -> tuple[str, str]:
    if boot is None or boot.verdict == "Skipped":
        return "BootNotAsked", "the digests hold; the guest was not started"
    return "Booted", f"the guest came up after {boot.seconds or 0:.0f} s ({boot.accelerator}), shown by {boot.evidence}"


def _line(stage: str | None, percent: int | None, rate: int) -> str:
    parts = [stage or ""]
    if percent is not None and stage == "Convert":
        parts.append(f"{percent} %")
        parts.append(f"{rate // _RATE_UNIT} MiB/s")
    return " ".join(part for part in parts if part)


def _merged(status: VirtualMachineMigrationStatus, told: tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys([*status.warnings, *told]))[:MAX_WARNINGS]
