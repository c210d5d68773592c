"""The chart's alerts and dashboard ask for metrics that there are; Prometheus' own tool takes the alerts and tries them."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from hyper2kvm_operator.metrics import Metrics

CHART = Path(__file__).parents[2] / "charts/hyper2kvm/files"
GROUPS = yaml.safe_load((CHART / "alerts.yaml").read_text())
DASHBOARD = json.loads((CHART / "dashboards/hyper2kvm.json").read_text())
OPERATIONS = Path(__file__).parents[2] / "docs/operations/README.md"

ALERTS = {rule["alert"]: rule["expr"] for group in GROUPS for rule in group["rules"]}
PANELS = {
    f"{panel['title']} {target['refId']}": target["expr"]
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
}
FAILED = 'hyper2kvm_migrations_finished_total{phase="Failed",instance="10.0.0.1:8080"}'
AFTER_RESTART = FAILED.replace("10.0.0.1", "10.0.0.2")


def known():
    """Name of each series → its labels."""
    found = {}
    for metric in Metrics().registry.collect():
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(metric.type, [""])
        labels = set().union(*(sample.labels for sample in metric.samples))
        found |= {metric.name + suffix: labels for suffix in suffixes}
    return found


@pytest.mark.parametrize("expression", [*ALERTS.values(), *PANELS.values()], ids=[*ALERTS, *PANELS])
def test_what_is_asked_for_is_measured(expression):
    named = set(re.findall(r"\bhyper2kvm_\w+", expression))
    assert named
    assert named <= set(known())
    matched = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression)
    grouped = [name for names in re.findall(r"\bby\s*\(([^)]*)\)", expression) for name in re.findall(r"\w+", names)]
    allowed = set().union(*(known()[name] for name in named))
    # Gauges whose label values come with the objects have no sample at first; the namespace comes with the scrape.
    assert {*matched, *grouped} <= allowed | {"phase", "kind", "le", "namespace"}


def test_every_alert_is_explained():
    assert set(re.findall(r"`(Hyper2kvm\w+)`", OPERATIONS.read_text())) == set(ALERTS)


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": GROUPS}))
    return path


def promtool(*arguments):
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_takes_the_alerts(rules):
    assert f"SUCCESS: {len(ALERTS)} rules found" in promtool("check", "rules", rules)


@pytest.mark.parametrize(
    ("series", "minutes", "fires"),
    [
        ({FAILED: "0x200"}, 100, False),
        ({FAILED: "0x10 1x200"}, 12, True),
        ({FAILED: "0x10 1x200"}, 60, True),
        ({FAILED: "0x10 1x200"}, 80, False),
        ({FAILED: "_x10 1x200"}, 11, True),
        ({FAILED: "_x10 1x200"}, 80, False),
        ({FAILED: "5x20", AFTER_RESTART: "_x20 0x10 1x200"}, 32, True),
        ({FAILED: "5x20", AFTER_RESTART: "_x20 1x200"}, 21, True),
        ({FAILED: "5x20", AFTER_RESTART: "_x20 0x200"}, 90, False),
    ],
)
def test_failing_migrations_are_told_from_the_first_after_a_start_on(rules, series, minutes, fires):
    """Also a failure that is counted before Prometheus asks for the first time: its series begins at one."""
    check(rules, "Hyper2kvmMigrationsFailing", series, minutes, fires=fires)


@pytest.mark.parametrize(
    ("alert", "series", "minutes", "fires"),
    [
        ("Hyper2kvmOperatorDown", {"hyper2kvm_queue_length": "0x5 _x60"}, 30, True),
        ("Hyper2kvmOperatorDown", {"hyper2kvm_queue_length": "0x60"}, 30, False),
        ("Hyper2kvmReconcileErrors", {'hyper2kvm_reconcile_errors_total{kind="Forbidden"}': "0+30x60"}, 40, True),
        ("Hyper2kvmReconcileErrors", {'hyper2kvm_reconcile_errors_total{kind="Conflict"}': "0+30x60"}, 40, False),
        (
            "Hyper2kvmSlowReconcile",
            {
                'hyper2kvm_reconcile_duration_seconds_bucket{le="2.5"}': "0x120",
                'hyper2kvm_reconcile_duration_seconds_bucket{le="10"}': "0+60x120",
                'hyper2kvm_reconcile_duration_seconds_bucket{le="+Inf"}': "0+60x120",
            },
            60,
            True,
        ),
        (
            "Hyper2kvmSlowReconcile",
            {
                'hyper2kvm_reconcile_duration_seconds_bucket{le="2.5"}': "0+60x120",
                'hyper2kvm_reconcile_duration_seconds_bucket{le="+Inf"}': "0+60x120",
            },
            60,
            False,
        ),
    ],
)
def test_alerts_fire_when_they_should(rules, alert, series, minutes, fires):
    check(rules, alert, series, minutes, fires=fires)


def check(rules, alert, series, minutes, *, fires):
    """Play the series, a value a minute, and see whether the alert fires at a minute."""
    counted = {
        "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)',
        "eval_time": f"{minutes}m",
        "exp_samples": [{"labels": "{}", "value": int(fires)}],
    }
    played = [{"series": name, "values": values} for name, values in series.items()]
    test = rules.parent / "test.yaml"
    content = {"rule_files": [str(rules)], "evaluation_interval": "1m"}
    content["tests"] = [{"interval": "1m", "input_series": played, "promql_expr_test": [counted]}]
    test.write_text(yaml.safe_dump(content))
    promtool("test", "rules", test)
