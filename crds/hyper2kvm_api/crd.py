"""The CustomResourceDefinitions, made from the models, with the rules that span fields in CEL."""

from typing import cast

from hyper2kvm_api.document import Document
from hyper2kvm_api.migration import (
    API_VERSION,
    GROUP,
    VERSION,
    MigrationProfile,
    VirtualMachineMigration,
    VirtualMachineMigrationSpec,
    VirtualMachineMigrationStatus,
)
from hyper2kvm_api.options import MigrationOptions
from hyper2kvm_api.rules import RULES
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
    ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
]


def migration_crd() -> Schema:
    """The definition of VirtualMachineMigration."""
    spec = structural(VirtualMachineMigrationSpec)
    cast("Schema", spec["properties"]).update(_options())
    return _crd(
        VirtualMachineMigration,
        plural="virtualmachinemigrations",
        short_names=["vmig"],
        spec=_with_rules(spec, whole=True),
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
        spec=_with_rules(structural(MigrationOptions) | {"properties": _options()}, whole=False),
        status=None,
        columns=[("Age", "date", ".metadata.creationTimestamp", 0)],
        rules=[],
    )


def _options() -> Schema:
    """The options of a layer: none is required, and null takes away what a layer below sets."""
    return cast("Schema", structural(MigrationOptions, partial=True)["properties"])


def _with_rules(spec: Schema, *, whole: bool) -> Schema:
    """Put the rules where they belong; `whole` for a migration, which may be all there is."""
    for rule in RULES:
        if rule.path[0] in cast("Schema", spec["properties"]):
            _add(_at(spec, *rule.path), rule.cel, rule.message)
            if whole and rule.whole is not None:
                _add(spec, rule.whole, rule.message)
    return spec


def _add(schema: Schema, rule: str, message: str) -> None:
    cast("list[Schema]", schema.setdefault("x-kubernetes-validations", [])).append(_rule(rule, message))


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
            "apiVersion": {"type": "string", "description": f"Group and version of the object's form: {API_VERSION}."},
            "kind": {"type": "string", "description": f"Kind of the object: {kind}."},
            "metadata": {"type": "object"},  # the API server knows the rest, and refuses a description
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
