"""What is written from the model of the chart's values: values.yaml, its schema, the reference page."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import yaml
from pydantic.fields import FieldInfo

from hyper2kvm_api.document import Document
from hyper2kvm_operator.chart.values import (
    ConversionValues,
    CrdValues,
    DashboardValues,
    DisruptionBudgetValues,
    HostPathValues,
    Image,
    NetworkPolicyValues,
    OperatorValues,
    PrometheusRuleValues,
    ServiceAccountValues,
    ServiceMonitorValues,
    Values,
)

_SECTIONS = (
    Image,
    OperatorValues,
    ConversionValues,
    HostPathValues,
    CrdValues,
    ServiceAccountValues,
    ServiceMonitorValues,
    PrometheusRuleValues,
    DashboardValues,
    NetworkPolicyValues,
    DisruptionBudgetValues,
)
"""Models that are written key by key; others are values as a whole."""


@dataclass(frozen=True)
class _Value:
    path: tuple[str, ...]
    field: FieldInfo
    default: object
    section: bool

    @property
    def meaning(self) -> str:
        return " ".join((self.field.description or "").split())


def values_yaml(header: str) -> str:
    """values.yaml: every value with its default and what it means."""
    lines = [f"# {header}"]
    for value in _walk(Values()):
        indent = "  " * (len(value.path) - 1)
        lines += ["", f"{indent}# {value.meaning}"] if len(value.path) == 1 else [f"{indent}# {value.meaning}"]
        shown = "" if value.section else " " + _flow(value.default)
        lines.append(f"{indent}{value.path[-1]}:{shown}")
    return "\n".join(lines) + "\n"


def values_schema(header: str) -> str:
    """values.schema.json, with which Helm refuses unknown keys and wrong values."""
    schema = {"$comment": header, "$schema": "http://json-schema.org/draft-07/schema#"}
    model = Values.model_json_schema(by_alias=True, mode="validation", ref_template="#/definitions/{model}")
    model["definitions"] = model.pop("$defs")
    # Helm adds `global` to every chart's values.
    model["properties"]["global"] = {"type": "object"}
    return json.dumps(schema | model, indent=2) + "\n"


def values_page(header: str) -> str:
    """The reference page of the values, in Markdown."""
    lines = [f"<!-- {header} -->", "# Values of the Helm chart", "", "| value | default | meaning |", "|---|---|---|"]
    lines += [
        f"| `{'.'.join(value.path)}` | `{_flow(value.default)}` | {value.meaning} |"
        for value in _walk(Values())
        if not value.section
    ]
    return "\n".join(lines) + "\n"


def _walk(document: Document, path: tuple[str, ...] = ()) -> Iterator[_Value]:
    for name, field in type(document).model_fields.items():
        default = getattr(document, name)
        section = isinstance(default, _SECTIONS)
        here = (*path, str(field.alias))
        yield _Value(here, field, default, section)
        if section:
            yield from _walk(default, here)


def _flow(default: object) -> str:
    value = default.to_object() if isinstance(default, Document) else default
    text = yaml.safe_dump(value if isinstance(value, dict | list | bool | int) else str(value), default_flow_style=True)
    return text.removesuffix("\n...\n").strip()
