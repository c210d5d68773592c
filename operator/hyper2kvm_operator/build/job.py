"""The two Jobs of a migration: `plan` describes the source, `convert` runs the pipeline.

Neither gets a token of the API. Privilege is for /dev/kvm only, and only where the mode asks for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from hyper2kvm_api.migration import MigrationSourceSpec, VirtualMachineMigrationSpec
from hyper2kvm_api.options import VolumeMode
from hyper2kvm_api.reasons import EXIT_INTERRUPTED, EXIT_RETRY, Category
from hyper2kvm_operator.build.metadata import Json, MigrationKey, new_object
from hyper2kvm_operator.kube.resources import ROLE_LABEL, Resources
from hyper2kvm_operator.settings import Settings

CONTAINER = "conversion"
"""Name of the one container of each pod."""

KVM_RESOURCE = "devices.kubevirt.io/kvm"
"""The device plugin's resource, which KubeVirt's virt-handler offers on nodes with KVM."""

PLAN_DIGEST = "hyper2kvm.io/plan-digest"
"""Annotation of the convert Job: the plan that it runs."""

SOURCE_FOLDER = "/source"
TARGETS_FOLDER = "/targets"
WORKSPACE_FOLDER = "/workspace"
PLAN_FOLDER = "/etc/hyper2kvm"
KEYS_FOLDER = "/secrets/keys"
PLAN_FILE = "plan.json"
MIGRATION_FILE = "migration.yaml"

QEMU_USER = 107
"""uid and gid that KubeVirt's virt-launcher reads disks with."""


class Kvm(Enum):
    """How a pod gets at KVM, decided."""

    DEVICE_PLUGIN = "DevicePlugin"
    PRIVILEGED = "Privileged"
    NONE = "None"


@dataclass(frozen=True)
class TargetVolume:
    """A claim that a disk is written to.

    Attributes:
        disk: the disk's id in the machine.
        claim: name of the claim.
        mode: Filesystem or Block.
        file: name of the file on a Filesystem volume.
    """

    disk: str
    claim: str
    mode: VolumeMode
    file: str

    @property
    def path(self) -> str:
        """Where the pod sees the target: a file, or a device."""
        if self.mode is VolumeMode.BLOCK:
            return f"/dev/hyper2kvm/{self.claim}"
        return f"{TARGETS_FOLDER}/{self.claim}/{self.file}"


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
    return _job(key, "plan", spec, settings, command, [_source_volume(spec.source), _config_volume(config)], Kvm.NONE)


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
        _source_volume(spec.source),
        _config_volume(config),
        _workspace_volume(workspace),
        *(_target_volume(target) for target in targets),
    ]
    if spec.guest.keys is not None:
        volumes.append(_Volume("keys", {"secret": {"secretName": spec.guest.keys.secret_name}}, KEYS_FOLDER))
    return _job(key, "convert", spec, settings, command, volumes, kvm)


@dataclass(frozen=True)
class _Volume:
    name: str
    source: Json
    path: str
    read_only: bool = True
    block: bool = False


def _source_volume(source: MigrationSourceSpec) -> _Volume:
    volume = source.files.volume if source.files else None
    if volume is None:
        raise ValueError("a source without a volume")
    if volume.persistent_volume_claim is not None:
        claim = {"claimName": volume.persistent_volume_claim.claim_name, "readOnly": True}
        return _Volume("source", {"persistentVolumeClaim": claim}, SOURCE_FOLDER)
    if volume.nfs is not None:
        return _Volume("source", {"nfs": {**volume.nfs.to_object(), "readOnly": True}}, SOURCE_FOLDER)
    if volume.host_path is not None:
        return _Volume("source", {"hostPath": {"path": volume.host_path.path, "type": "Directory"}}, SOURCE_FOLDER)
    raise ValueError("a source volume of no kind")


def _config_volume(config: str) -> _Volume:
    return _Volume("plan", {"configMap": {"name": config}}, PLAN_FOLDER)


def _workspace_volume(claim: str | None) -> _Volume:
    source: Json = {"persistentVolumeClaim": {"claimName": claim}} if claim else {"emptyDir": {}}
    return _Volume("workspace", source, WORKSPACE_FOLDER, read_only=False)


def _target_volume(target: TargetVolume) -> _Volume:
    block = target.mode is VolumeMode.BLOCK
    path = target.path if block else f"{TARGETS_FOLDER}/{target.claim}"
    source = {"persistentVolumeClaim": {"claimName": target.claim}}
    return _Volume(f"target-{target.claim}"[:63].rstrip("-"), source, path, read_only=False, block=block)


def _job(
    key: MigrationKey,
    role: str,
    spec: VirtualMachineMigrationSpec,
    settings: Settings,
    command: Sequence[str],
    volumes: Sequence[_Volume],
    kvm: Kvm,
) -> Json:
    options = spec.job
    labels = {**options.labels, ROLE_LABEL: role}
    job = new_object(Resources.JOB.value, key, key.child(role), labels=labels, annotations=options.annotations or None)
    job["spec"] = {
        "backoffLimit": options.retries,
        "activeDeadlineSeconds": settings.job_deadline,
        "ttlSecondsAfterFinished": settings.finished_job_ttl,
        "podFailurePolicy": {"rules": _failure_rules()},
        "template": {
            "metadata": {"labels": {**labels, **key.labels}, **_annotations(options.annotations)},
            "spec": _pod(spec, settings, command, volumes, kvm),
        },
    }
    return job


def _annotations(annotations: Mapping[str, str]) -> Json:
    return {"annotations": dict(annotations)} if annotations else {}


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


def _pod(
    spec: VirtualMachineMigrationSpec,
    settings: Settings,
    command: Sequence[str],
    volumes: Sequence[_Volume],
    kvm: Kvm,
) -> Json:
    options = spec.job
    pod: Json = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 60,
        "securityContext": pod_security(root=kvm is Kvm.PRIVILEGED),
        "containers": [_container(spec, settings, command, volumes, kvm)],
        "volumes": [
            *({"name": volume.name, **volume.source} for volume in volumes),
            {"name": "tmp", "emptyDir": {}},
            {"name": "var-tmp", "emptyDir": {}},
            *([{"name": "kvm", "hostPath": {"path": "/dev/kvm", "type": ""}}] if kvm is Kvm.PRIVILEGED else []),
        ],
    }
    selector = {**settings.node_selector, **options.node_selector}
    tolerations = [t.to_object() for t in (*settings.tolerations, *options.tolerations)]
    optional: Json = {
        "nodeSelector": selector,
        "tolerations": tolerations,
        "priorityClassName": options.priority_class_name,
        "imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets],
    }
    return pod | {name: value for name, value in optional.items() if value}


def pod_security(*, root: bool = False) -> Json:
    """The security context of the pods. Only root may open a node's /dev/kvm, whatever its group is there."""
    return {
        "runAsUser": 0 if root else QEMU_USER,
        "runAsGroup": 0 if root else QEMU_USER,
        "runAsNonRoot": not root,
        "fsGroup": QEMU_USER,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _container(
    spec: VirtualMachineMigrationSpec,
    settings: Settings,
    command: Sequence[str],
    volumes: Sequence[_Volume],
    kvm: Kvm,
) -> Json:
    privileged = kvm is Kvm.PRIVILEGED
    security: Json = {"privileged": True} if privileged else {"allowPrivilegeEscalation": False}
    mounts = [
        {"name": v.name, "mountPath": v.path, **({"readOnly": True} if v.read_only else {})}
        for v in volumes
        if not v.block
    ]
    devices = [{"name": v.name, "devicePath": v.path} for v in volumes if v.block]
    return {
        "name": CONTAINER,
        "image": settings.conversion_image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": [*command, "--json"],
        "env": _environment(),
        "securityContext": {
            **security,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "resources": _resources(spec, settings, kvm),
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            *mounts,
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- the pod's own emptyDir
            {"name": "var-tmp", "mountPath": "/var/tmp"},  # noqa: S108 -- as above; for qemu's snapshots
            *([{"name": "kvm", "mountPath": "/dev/kvm"}] if privileged else []),
        ],
    } | ({"volumeDevices": devices} if devices else {})


def _environment() -> list[Json]:
    return [
        {"name": "HOME", "value": "/tmp"},  # noqa: S108 -- the pod's own emptyDir
        {"name": "HYPER2KVM_TERMINATION_LOG", "value": "/dev/termination-log"},
        {"name": "TMPDIR", "value": "/tmp"},  # noqa: S108 -- as above
    ]


def _resources(spec: VirtualMachineMigrationSpec, settings: Settings, kvm: Kvm) -> Json:
    requests = {**settings.resources.requests, **spec.job.resources.requests}
    limits = {**settings.resources.limits, **spec.job.resources.limits}
    if kvm is Kvm.DEVICE_PLUGIN:
        requests[KVM_RESOURCE] = limits[KVM_RESOURCE] = "1"
    return {"requests": requests, "limits": limits}
