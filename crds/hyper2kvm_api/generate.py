"""Writes what is made from the models: CRDs, JSON schemas, the pages of the API and of reasons."""

import sys
from collections.abc import Callable

import yaml

from hyper2kvm_api.crd import migration_crd, profile_crd
from hyper2kvm_api.event import Event
from hyper2kvm_api.generated import Table, header, json_schema, main
from hyper2kvm_api.machine import Machine
from hyper2kvm_api.plan import Plan
from hyper2kvm_api.reasons import REASONS, Category
from hyper2kvm_api.reference import api_page
from hyper2kvm_api.result import Result

HEADER = header("crds/hyper2kvm_api")


class _Plain(yaml.SafeDumper):
    """YAML without anchors: each part stands where it is looked for."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 -- the base class passes it
        """Always."""
        return True


def _crd_yaml(make: Callable[[], dict[str, object]]) -> str:
    return f"# {HEADER}\n" + yaml.dump(make(), Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)


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
    "crds/schemas/machine.json": lambda: json_schema(Machine, HEADER),
    "crds/schemas/plan.json": lambda: json_schema(Plan, HEADER),
    "crds/schemas/event.json": lambda: json_schema(Event, HEADER),
    "crds/schemas/result.json": lambda: json_schema(Result, HEADER),
    "docs/reference/api.md": lambda: api_page(HEADER),
    "docs/reference/reasons.md": reasons_page,
}
"""What this package generates."""


if __name__ == "__main__":
    sys.exit(main(GENERATED, sys.argv[1:]))
