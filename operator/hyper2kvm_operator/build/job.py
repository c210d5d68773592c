"""The two Jobs of a migration: `plan` describes the source, `convert` runs the pipeline.

Neither gets a token of the API. Privilege is for /dev/kvm only, and only where the mode asks for it.
"""

from collections.abc import Sequence
from enum import Enum

from hyper2kvm_api.migration import VirtualMachineMigrationSpec
from hyper2kvm_api.reasons import EXIT_INTERRUPTED, EXIT_RETRY, Category
from hyper2kvm_operator.build.metadata import Json, MigrationKey, new_object
from hyper2kvm_operator.build.pod import CONTAINER, QEMU_USER, container_spec, pod_metadata, pod_spec
from hyper2kvm_operator.build.volumes import (
    PLAN_FOLDER,
    SOURCE_FOLDER,
    TEMPORARY,
    WORKSPACE_FOLDER,
    TargetVolume,
    Volume,
    config_volume,
    keys_volume,
    source_volume,
    target_volume,
    workspace_volume,
)
from hyper2kvm_operator.kube.resources import Resources
from hyper2kvm_operator.settings import Settings

KVM_RESOURCE = "devices.kubevirt.io/kvm"
"""The device plugin's resource, which KubeVirt's virt-handler offers on nodes with KVM."""

PLAN_DIGEST = "hyper2kvm.io/plan-digest"
"""Annotation of the convert Job: the plan that it runs."""

CONTENT_DIGEST = "hyper2kvm.io/content-digest"
"""Annotation of the convert Job: what that plan says of the targets' content."""

PLAN_FILE = "plan.json"
MIGRATION_FILE = "migration.yaml"

_KVM_DEVICE = "/dev/kvm"


class Kvm(Enum):
    """How a pod gets at KVM, decided."""

    DEVICE_PLUGIN = "DevicePlugin"
    PRIVILEGED = "Privileged"
    NONE = "None"


def plan_job(key: MigrationKey, spec: VirtualMachineMigrationSpec, settings: Settings, config: str) -> Json:
    """The Job that describes the source. It needs neither KVM nor a volume beside the source's.

    Args:
        key: the migration.
        spec: its effective spec.
        settings: the operator's settings.
        config: ConfigMap with the migration.
    """
    command = [
        "h2k",
        "describe",
        f"{PLAN_FOLDER}/{MIGRATION_FILE}",
        "--source-root",
        SOURCE_FOLDER,
        "--workspace",
        "/tmp/workspace",  # noqa: S108 -- the pod's own emptyDir
    ]
    return _job(key, "plan", spec, settings, command, [source_volume(spec.source), config_volume(config)], Kvm.NONE)


def convert_job(
    key: MigrationKey,
    spec: VirtualMachineMigrationSpec,
    settings: Settings,
    config: str,
    targets: Sequence[TargetVolume],
    kvm: Kvm,
    *,
    workspace: str | None,
) -> Json:
    """The Job that runs the pipeline.

    Args:
        key: the migration.
        spec: its effective spec.
        settings: the operator's settings.
        config: ConfigMap with plan.json.
        targets: claims of the disks; none for a dry run.
        kvm: how the pod gets at KVM.
        workspace: claim of the workspace; a volume of the pod's own when None.
    """
    command = ["h2k", "run", f"{PLAN_FOLDER}/{PLAN_FILE}", "--workspace", WORKSPACE_FOLDER]
    volumes = [
        source_volume(spec.source),
        config_volume(config),
        workspace_volume(workspace),
        *(target_volume(number, target) for number, target in enumerate(targets)),
    ]
    if spec.guest.keys is not None:
        volumes.append(keys_volume(spec.guest.keys.secret_name))
    return _job(key, "convert", spec, settings, command, volumes, kvm)


def _job(
    key: MigrationKey,
    role: str,
    spec: VirtualMachineMigrationSpec,
    settings: Settings,
    command: Sequence[str],
    volumes: Sequence[Volume],
    kvm: Kvm,
) -> Json:
    options, privileged, mounted = spec.job, kvm is Kvm.PRIVILEGED, [*volumes, *TEMPORARY]
    job = new_object(Resources.JOB.value, key, key.child(role))
    job["metadata"] |= pod_metadata(key, options, role)
    made = container_spec(
        settings, [*command, "--json"], _resources(spec, settings, kvm), mounted, privileged=privileged
    ) | {"env": _environment(volumes, kvm), "terminationMessagePolicy": "File"}
    job["spec"] = {
        "backoffLimit": options.retries,
        "activeDeadlineSeconds": settings.job_deadline,
        "ttlSecondsAfterFinished": settings.finished_job_ttl,
        "podFailurePolicy": {"rules": _failure_rules()},
        "template": {
            "metadata": pod_metadata(key, options, role),
            "spec": pod_spec(settings, options, made, mounted, restart="Never", privileged=privileged),
        },
    }
    return job


def _failure_rules() -> list[Json]:
    """What Kubernetes does when a pod fails: final errors end the Job, an interruption does not count as an attempt."""
    final = sorted(category.exit_code for category in Category)
    return [
        _exit_rule("FailJob", final),
        _exit_rule("Ignore", [EXIT_INTERRUPTED]),
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        _exit_rule("Count", [EXIT_RETRY]),
    ]


def _exit_rule(action: str, codes: list[int]) -> Json:
    return {"action": action, "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": codes}}


def _environment(volumes: Sequence[Volume], kvm: Kvm) -> list[Json]:
    stated = {
        "HOME": "/tmp",  # noqa: S108 -- the pod's own emptyDir
        "HYPER2KVM_TERMINATION_LOG": "/dev/termination-log",
        "TMPDIR": "/tmp",  # noqa: S108 -- as above
    }
    if kvm is Kvm.PRIVILEGED:
        # The process starts as root, with all of the node's devices, and becomes a user who reaches these only.
        devices = [_KVM_DEVICE, *(volume.path for volume in volumes if volume.block)]
        stated |= {"HYPER2KVM_USER": str(QEMU_USER), "HYPER2KVM_DEVICES": ":".join(devices)}
    return [{"name": name, "value": value} for name, value in stated.items()]


def _resources(spec: VirtualMachineMigrationSpec, settings: Settings, kvm: Kvm) -> Json:
    requests = {**settings.resources.requests, **spec.job.resources.requests}
    limits = {**settings.resources.limits, **spec.job.resources.limits}
    if kvm is Kvm.DEVICE_PLUGIN:
        requests[KVM_RESOURCE] = limits[KVM_RESOURCE] = "1"
    return {"requests": requests, "limits": limits}
