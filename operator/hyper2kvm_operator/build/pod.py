"""What all pods of a migration share: whose they are, what they may do, where they run."""

from collections.abc import Sequence

from hyper2kvm_api.options import JobOptions
from hyper2kvm_operator.build.metadata import Json, MigrationKey
from hyper2kvm_operator.build.volumes import Volume, in_container, in_pod
from hyper2kvm_operator.kube.resources import ROLE_LABEL
from hyper2kvm_operator.settings import Settings

CONTAINER = "conversion"
"""Name of the one container of each pod."""

QEMU_USER = 107
"""uid and gid that KubeVirt's virt-launcher reads disks with."""


def pod_metadata(key: MigrationKey, options: JobOptions, role: str) -> Json:
    """Labels and annotations of a pod, the user's among them."""
    labels = {**options.labels, ROLE_LABEL: role, **key.labels}
    return {"labels": labels} | ({"annotations": dict(options.annotations)} if options.annotations else {})


def pod_spec(
    settings: Settings,
    options: JobOptions,
    container: Json,
    volumes: Sequence[Volume],
    *,
    restart: str,
    privileged: bool = False,
) -> Json:
    """The spec of a pod with one container, without a token of the API.

    Args:
        settings: the operator's settings.
        options: the user's options.
        container: of `container_spec`.
        volumes: its volumes.
        restart: Kubernetes' restart policy.
        privileged: whether its container is.
    """
    return {
        "restartPolicy": restart,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 60,
        "securityContext": _root() if privileged else _ordinary(),
        "containers": [container],
        "volumes": in_pod(volumes),
        **scheduling(settings, options),
    }


def container_spec(
    settings: Settings, command: Sequence[str], resources: Json, volumes: Sequence[Volume], *, privileged: bool = False
) -> Json:
    """The container. A privileged one has the node's devices, and every capability until its process drops them."""
    allowed: Json = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {
        "name": CONTAINER,
        "image": settings.conversion_image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": list(command),
        "securityContext": {**({"privileged": True} if privileged else allowed), "readOnlyRootFilesystem": True},
        "resources": resources,
        **in_container(volumes),
    }


def scheduling(settings: Settings, options: JobOptions) -> Json:
    """Where pods may run, as whom, before whom, and with which image: the administrator's choice and the user's together."""
    stated: Json = {
        "serviceAccountName": options.service_account_name,
        "nodeSelector": {**settings.node_selector, **options.node_selector},
        "tolerations": [toleration.to_object() for toleration in (*settings.tolerations, *options.tolerations)],
        "priorityClassName": options.priority_class_name,
        "imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets],
    }
    return {name: value for name, value in stated.items() if value}


def _ordinary() -> Json:
    return {
        "runAsUser": QEMU_USER,
        "runAsGroup": QEMU_USER,
        "runAsNonRoot": True,
        **_volumes(),
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _root() -> Json:
    """Only root may hand the node's /dev/kvm to a user. Container runtimes give privileged pods no seccomp filter."""
    return {"runAsUser": 0, "runAsGroup": 0, **_volumes()}


def _volumes() -> Json:
    return {"fsGroup": QEMU_USER, "fsGroupChangePolicy": "OnRootMismatch"}
