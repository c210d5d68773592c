"""ConfigMaps: what a Job is told, and the report that is kept."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from hyper2kvm_api.machine import Machine
from hyper2kvm_api.plan import Plan
from hyper2kvm_operator.build.job import MIGRATION_FILE, PLAN_FILE
from hyper2kvm_operator.build.metadata import Json, MigrationKey, new_object
from hyper2kvm_operator.kube.resources import Resources

NOTE = "NOTE.txt"
"""Key of the report's ConfigMap that names what was left out."""

_MAX_BYTES = 1000 * 1024


@dataclass(frozen=True)
class KeptReport:
    """What is kept of a report.

    Attributes:
        config: the ConfigMap.
        left_out: names of the files that do not fit into it.
    """

    config: Json
    left_out: tuple[str, ...]


def request_name(key: MigrationKey) -> str:
    """Name of the ConfigMap of the plan Job."""
    return key.child("request")


def plan_name(key: MigrationKey) -> str:
    """Name of the ConfigMap of the convert Job."""
    return key.child("plan")


def report_name(key: MigrationKey) -> str:
    """Name of the ConfigMap with the report."""
    return key.child("report")


def request_config(key: MigrationKey, migration: Json) -> Json:
    """The migration with its effective spec, for the plan Job."""
    data = {MIGRATION_FILE: yaml.safe_dump(_manifest(migration), sort_keys=False)}
    return {**new_object(Resources.CONFIG_MAP.value, key, request_name(key)), "data": data}


def plan_config(key: MigrationKey, plan: Plan) -> Json:
    """The plan, for the convert Job."""
    return {**new_object(Resources.CONFIG_MAP.value, key, plan_name(key)), "data": {PLAN_FILE: plan.to_json(indent=2)}}


def plan_digest(plan: Plan) -> str:
    """SHA-256 of what a plan says beside defaults, in hexadecimal."""
    return hashlib.sha256(plan.canonical()).hexdigest()


def content_digest(plan: Plan, told: Machine) -> str:
    """SHA-256 of what a plan says of the targets' content, in hexadecimal; `told` is what the source says of its machine."""
    return hashlib.sha256(plan.content(told)).hexdigest()


def report_config(key: MigrationKey, files: Mapping[str, str]) -> KeptReport:
    """The report. Files that would make the object too large are left out, the largest first; a note says which."""
    kept = dict(files)
    left_out: list[str] = []
    while kept and sum(map(_size, kept.values())) > _MAX_BYTES:
        largest = max(kept, key=lambda name: _size(kept[name]))
        left_out.append(largest)
        del kept[largest]
    if left_out:
        told = [f"{name}: {_size(files[name])} bytes" for name in left_out]
        kept[NOTE] = "\n".join(["Left out, as a ConfigMap holds one MiB:", *told, ""])
    config = {**new_object(Resources.CONFIG_MAP.value, key, report_name(key)), "data": kept}
    return KeptReport(config, tuple(left_out))


def _size(content: str) -> int:
    return len(content.encode())


def _manifest(value: Json) -> Json:
    """What is effective holds what the profiles say, and a pod has no profiles."""
    metadata = {name: value["metadata"][name] for name in ("name", "namespace")}
    spec = {name: option for name, option in value.get("spec", {}).items() if name != "profiles"}
    return {"apiVersion": value["apiVersion"], "kind": value["kind"], "metadata": metadata, "spec": spec}
