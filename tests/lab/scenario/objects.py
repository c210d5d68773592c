"""Objects that scenarios apply."""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

SOURCE = "exports"
"""Name of the claim with the sources."""


def migration(name: str, path: str, **changes: Json | str | bool | list[str]) -> Json:
    """A migration of a file on the claim of the sources, small and without a boot check; `changes` are merged in, None removes."""
    spec: Json = {
        "source": {"files": {"volume": {"persistentVolumeClaim": {"claimName": SOURCE}}, "path": path}},
        "guest": {"whenUnsupported": "Copy"},
        "validation": {"boot": {"enabled": False}},
        "job": {"workspace": {"size": "64Mi"}},
    }
    return {
        "apiVersion": "hyper2kvm.io/v1alpha1",
        "kind": "VirtualMachineMigration",
        "metadata": {"name": name},
        "spec": _merged(spec, changes),
    }


def claim(name: str, storage_class: str, size: str, mode: str = "Filesystem") -> Json:
    """A PersistentVolumeClaim."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "storageClassName": storage_class,
            "accessModes": ["ReadWriteOnce"],
            "volumeMode": mode,
            "resources": {"requests": {"storage": size}},
        },
    }


def quota(**hard: str) -> Json:
    """The ResourceQuota `limits`."""
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "limits"}, "spec": {"hard": hard}}


def pod(name: str, image: str, script: str, *claims: str, device: str = "") -> Json:
    """A pod of uid 107 that runs a script, with file system claims at /volumes/NAME and one block claim at /dev/volume."""
    every = [*claims, *([device] if device else [])]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsUser": 107, "runAsGroup": 107, "fsGroup": 107, "runAsNonRoot": True},
            "containers": [
                {
                    "name": "main",
                    "image": image,
                    "imagePullPolicy": "Never",
                    "command": ["bash", "-euc", script],
                    "volumeMounts": [{"name": one, "mountPath": f"/volumes/{one}"} for one in claims],
                    "volumeDevices": [{"name": device, "devicePath": "/dev/volume"}] if device else [],
                }
            ],
            "volumes": [{"name": one, "persistentVolumeClaim": {"claimName": one}} for one in every],
        },
    }


def _merged(under: Json, over: Mapping[str, Any]) -> Json:
    both = {
        key: _merged(under[key], value)
        for key, value in over.items()
        if isinstance(value, dict) and isinstance(under.get(key), dict)
    }
    merged = {**under, **over, **both}
    return {key: value for key, value in merged.items() if value is not None}
