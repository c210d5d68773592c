"""Writes what is made from the operator: the chart's values, rights and CRDs, the pages of metrics and settings."""

import sys

import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from hyper2kvm_api.generate import GENERATED as API_GENERATED
from hyper2kvm_api.generated import Table, header, main
from hyper2kvm_operator.chart.files import values_page, values_schema, values_yaml
from hyper2kvm_operator.chart.rights import rules_template
from hyper2kvm_operator.metrics import Metrics
from hyper2kvm_operator.settings import PREFIX, Settings

HEADER = header("operator/hyper2kvm_operator")


def metrics_page() -> str:
    """The reference page of metrics, in Markdown."""
    lines = [
        f"<!-- {HEADER} -->",
        "# Metrics",
        "",
        "The operator serves them under `/metrics`, on the port of the chart's value `operator.port`.",
        "",
        "| metric | type | labels | meaning |",
        "|---|---|---|---|",
    ]
    for metric in _metrics(Metrics()):
        name = metric._name + ("_total" if metric._type == "counter" else "")  # noqa: SLF001 -- no public way
        labels = ", ".join(f"`{label}`" for label in metric._labelnames) or "none"  # noqa: SLF001 -- as above
        lines.append(f"| `{name}` | {metric._type} | {labels} | {metric._documentation} |")  # noqa: SLF001 -- as above
    return "\n".join(lines) + "\n"


def _metrics(metrics: Metrics) -> list[MetricWrapperBase]:
    return [value for value in vars(metrics).values() if not isinstance(value, CollectorRegistry)]


def settings_page() -> str:
    """The reference page of the operator's settings, in Markdown."""
    lines = [
        f"<!-- {HEADER} -->",
        "# Settings of the operator",
        "",
        "Environment variables of the operator's container. The chart fills them from its values.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = "required" if field.is_required() else _shown(field.default)
        lines.append(f"| `{PREFIX}{name.upper()}` | {default} | {' '.join((field.description or '').split())} |")
    return "\n".join(lines) + "\n"


def _shown(default: object) -> str:
    """A default as one writes it into the variable: YAML."""
    value = default.to_object() if hasattr(default, "to_object") else default
    if value in ("", [], {}):
        return "none"
    plain = str(value) if isinstance(value, str) else value
    text = yaml.safe_dump(plain, default_flow_style=True, sort_keys=False, width=200)
    return f"`{text.removesuffix(chr(10)).removesuffix('...').strip()}`"


GENERATED: Table = {
    "charts/hyper2kvm/templates/_rules.tpl": lambda: rules_template(HEADER),
    **{
        f"charts/hyper2kvm/files/{path}": make
        for path, make in API_GENERATED.items()
        if path.startswith("crds/hyper2kvm.io_")
    },
    "charts/hyper2kvm/values.yaml": lambda: values_yaml(HEADER),
    "charts/hyper2kvm/values.schema.json": lambda: values_schema(HEADER),
    "docs/reference/values.md": lambda: values_page(HEADER),
    "docs/reference/metrics.md": metrics_page,
    "docs/reference/settings.md": settings_page,
}
"""What this package generates."""


if __name__ == "__main__":
    sys.exit(main(GENERATED, sys.argv[1:]))
