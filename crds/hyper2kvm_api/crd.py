"""The CustomResourceDefinitions, made from the models, with the rules that span fields in CEL."""

from typing import cast

from hyper2kvm_api.document import Document
from hyper2kvm_api.migration import (
    GROUP,
    VERSION,
    MigrationProfile,
    VirtualMachineMigration,
    VirtualMachineMigrationSpec,
    VirtualMachineMigrationStatus,
)
from hyper2kvm_api.options import HANDOFF_OF_FORMAT, MigrationOptions
from hyper2kvm_api.structural import Schema, structural

MUTABLE_WHILE_RUNNING = ("suspend", "cancel")
"""Fields of the spec that may change at any time; the others are fixed once conversion starts."""

_FIXED = (
    (
        "oldSelf.status.phase in ['Converting', 'HandingOff']",
        "spec is fixed once conversion has started (suspend and cancel are not)",
    ),
    (
        "oldSelf.status.phase == 'Succeeded' && (!has(oldSelf.spec.mode) || oldSelf.spec.mode != 'Plan')",
        "spec is fixed once the migration has succeeded: apply another migration",
    ),
)
"""When a spec is fixed, and what is said then. A dry run that has succeeded may become a migration."""

_MIGRATION_COLUMNS = [
    ("Phase", "string", ".status.phase", 0),
    ("Stage", "string", ".status.stage", 0),
    ("Progress", "integer", ".status.percent", 0),
    ("Boot", "string", ".status.boot.verdict", 0),
    ("VM", "string", ".status.virtualMachineName", 1),
    ("Reason", "string", ".status.failure.reason", 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
]


def migration_crd() -> Schema:
    """The definition of VirtualMachineMigration."""
    spec = structural(VirtualMachineMigrationSpec)
    _add_migration_rules(spec)
    return _crd(
        VirtualMachineMigration,
        plural="virtualmachinemigrations",
        short_names=["vmig"],
        spec=spec,
        status=structural(VirtualMachineMigrationStatus),
        columns=_MIGRATION_COLUMNS,
        rules=[_rule(_fixed_while(when), message) for when, message in _FIXED],
    )


def profile_crd() -> Schema:
    """The definition of MigrationProfile."""
    return _crd(
        MigrationProfile,
        plural="migrationprofiles",
        short_names=["mprof"],
        spec=structural(MigrationOptions, partial=True) | {"nullable": False},
        status=None,
        columns=[("Age", "date", ".metadata.creationTimestamp", 0)],
        rules=[],
    )


def _add_migration_rules(spec: Schema) -> None:
    source = _at(spec, "source")
    exactly_one(source)
    exactly_one(_at(source, "files", "volume"))
    path = _at(source, "files", "path")
    path["x-kubernetes-validations"] = [
        _rule("!self.startsWith('/') && !self.split('/').exists(p, p == '..')", "must be relative and without '..'")
    ]
    exactly_one(_at(spec, "target", "virtualMachine", "networks", "[]"), besides=("source",))
    possible = " || ".join(
        f"(f == '{format_}' && h == '{handoff}')" for format_, handoff in HANDOFF_OF_FORMAT.items() if handoff != "None"
    )
    target = _at(spec, "target")
    target["x-kubernetes-validations"] = [
        _rule(
            "!has(self.handoff) || self.handoff == 'None' || "
            "[has(self.disks) && has(self.disks.format) ? self.disks.format : 'raw'].exists(f, "
            f"[self.handoff].exists(h, {possible}))",
            "handoff Adopt needs disks.format raw, Import needs qcow2",
        ),
    ]
    _at(target, "disks")["x-kubernetes-validations"] = [
        _rule(
            "!has(self.compression) || self.compression == 'None' || (has(self.format) && self.format == 'qcow2')",
            "only qcow2 disks can be compressed",
        )
    ]
    _at(spec, "machine")["x-kubernetes-validations"] = [
        _rule(
            "!has(self.secureBoot) || !self.secureBoot || !has(self.firmware) || self.firmware == 'uefi'",
            "secureBoot needs firmware uefi",
        )
    ]


def exactly_one(schema: Schema, besides: tuple[str, ...] = ()) -> None:
    """Add the rule that exactly one of an object's members is there (leaving out those of `besides`)."""
    members = [name for name in cast("Schema", schema["properties"]) if name not in besides]
    count = " + ".join(f"(has(self.{name}) ? 1 : 0)" for name in members)
    schema["x-kubernetes-validations"] = [_rule(f"{count} == 1", f"exactly one of {', '.join(members)} is needed")]


def _fixed_while(when: str) -> str:
    fields = VirtualMachineMigrationSpec.model_fields
    fixed = [str(f.alias or name) for name, f in fields.items() if (f.alias or name) not in MUTABLE_WHILE_RUNNING]
    same = [
        f"has(self.spec.{n}) == has(oldSelf.spec.{n}) && (!has(self.spec.{n}) || self.spec.{n} == oldSelf.spec.{n})"
        for n in fixed
    ]
    fixed_now = f"has(oldSelf.status) && has(oldSelf.status.phase) && {when}"
    return f"!({fixed_now}) || ({' && '.join(same)})"


def _rule(rule: str, message: str) -> Schema:
    return {"rule": rule, "message": message}


def _at(schema: Schema, *path: str) -> Schema:
    for step in path:
        schema = cast("Schema", schema["items"] if step == "[]" else cast("Schema", schema["properties"])[step])
    return schema


def _crd(
    model: type[Document],
    *,
    plural: str,
    short_names: list[str],
    spec: Schema,
    status: Schema | None,
    columns: list[tuple[str, str, str, int]],
    rules: list[Schema],
) -> Schema:
    kind = model.__name__
    schema: Schema = {
        "type": "object",
        "description": " ".join((model.__doc__ or "").split()),
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
        }
        | ({"status": status} if status else {}),
        "required": ["spec"],
    }
    if rules:
        schema["x-kubernetes-validations"] = rules
    version: Schema = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": [
            {"name": name, "type": type_, "jsonPath": path} | ({"priority": priority} if priority else {})
            for name, type_, path, priority in columns
        ],
    }
    if status:
        version["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": short_names,
                "categories": ["hyper2kvm"],
            },
            "versions": [version],
        },
    }
