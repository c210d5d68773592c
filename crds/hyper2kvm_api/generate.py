"""Writes what is made from the models: CRDs, JSON schemas, the pages of the API and of reasons."""

import json
import sys
from collections.abc import Callable

import yaml

from hyper2kvm_api.crd import migration_crd, profile_crd
from hyper2kvm_api.document import Document
from hyper2kvm_api.event import Event
from hyper2kvm_api.generated import Table, header, main
from hyper2kvm_api.machine import Machine
from hyper2kvm_api.plan import Plan
from hyper2kvm_api.reasons import REASONS, Category
from hyper2kvm_api.reference import api_page
from hyper2kvm_api.result import Result

HEADER = header("crds/hyper2kvm_api")


def _crd_yaml(make: Callable[[], dict[str, object]]) -> str:
    return f"# {HEADER}\n" + yaml.safe_dump(make(), sort_keys=False, width=120, allow_unicode=True)


def _schema_json(model: type[Document]) -> str:
    schema = {
        "$comment": HEADER,
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **model.model_json_schema(by_alias=True, mode="validation"),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def reasons_page() -> str:
    """The reference page of reasons, in Markdown."""
    lines = [
        f"<!-- {HEADER} -->",
        "# Reasons",
        "",
        "Every failure has one of these reasons: in the condition `Ready` and in `status.failure` of a migration, in the",
        "event on the object, in the last line of `h2k --json` and in the report. Reasons are never renamed.",
        "A failure that may pass is retried (bounded, with growing pauses); the others fail at once.",
    ]
    for category in Category:
        lines += ["", f"## {category.name.capitalize()} (exit code {category.exit_code})", ""]
        lines += ["| reason | cause | what to do | retried |", "|---|---|---|---|"]
        lines += [
            f"| `{reason}` | {text.cause} | {text.remedy} | {'yes' if text.retry else 'no'} |"
            for reason, text in REASONS.items()
            if text.category is category
        ]
    return "\n".join(lines) + "\n"


GENERATED: Table = {
    "crds/hyper2kvm.io_virtualmachinemigrations.yaml": lambda: _crd_yaml(migration_crd),
    "crds/hyper2kvm.io_migrationprofiles.yaml": lambda: _crd_yaml(profile_crd),
    "crds/schemas/machine.json": lambda: _schema_json(Machine),
    "crds/schemas/plan.json": lambda: _schema_json(Plan),
    "crds/schemas/event.json": lambda: _schema_json(Event),
    "crds/schemas/result.json": lambda: _schema_json(Result),
    "docs/reference/api.md": lambda: api_page(HEADER),
    "docs/reference/reasons.md": reasons_page,
}
"""What this package generates."""


if __name__ == "__main__":
    sys.exit(main(GENERATED, sys.argv[1:]))
