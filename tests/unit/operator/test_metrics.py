import pytest

from hyper2kvm_api.migration import BootStatus
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.stage import Stage
from hyper2kvm_operator.metrics import Metrics


@pytest.fixture
def metrics():
    return Metrics()


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(name, labels)


def test_series_with_known_labels_begin_at_zero(metrics):
    for phase in ("Succeeded", "Failed", "Cancelled"):
        assert value(metrics, "hyper2kvm_migrations_finished_total", phase=phase) == 0
    for reason in Reason:
        assert value(metrics, "hyper2kvm_failures_total", reason=reason.value) == 0
    for stage in Stage:
        assert value(metrics, "hyper2kvm_stage_duration_seconds_count", stage=stage.value) == 0
    for verdict in ("BootFailed", "BootTimedOut", "Skipped"):
        assert value(metrics, "hyper2kvm_boot_checks_total", verdict=verdict, evidence="", accelerator="") == 0


def test_the_time_of_a_stage_is_counted(metrics):
    metrics.stage("Convert", 61.5)
    assert value(metrics, "hyper2kvm_stage_duration_seconds_sum", stage="Convert") == 61.5
    assert value(metrics, "hyper2kvm_stage_duration_seconds_bucket", stage="Convert", le="60.0") == 0
    assert value(metrics, "hyper2kvm_stage_duration_seconds_bucket", stage="Convert", le="300.0") == 1


def test_boot_checks_are_counted_by_verdict_and_what_showed_it(metrics):
    metrics.boot(BootStatus(verdict="Booted", evidence="Probe", accelerator="kvm", seconds=9.0))
    metrics.boot(BootStatus(verdict="Skipped"))
    booted = {"verdict": "Booted", "evidence": "Probe", "accelerator": "kvm"}
    assert value(metrics, "hyper2kvm_boot_checks_total", **booted) == 1
    assert value(metrics, "hyper2kvm_boot_checks_total", verdict="Skipped", evidence="", accelerator="") == 1


@pytest.mark.parametrize(("reason", "checks"), [("BootFailed", 1), ("BootTimedOut", 1), ("TargetFull", 0)])
def test_a_guest_that_did_not_come_up_is_a_failure_and_a_boot_check(metrics, reason, checks):
    metrics.failure(reason)
    assert value(metrics, "hyper2kvm_failures_total", reason=reason) == 1
    names = {"verdict": reason, "evidence": "", "accelerator": ""}
    assert (value(metrics, "hyper2kvm_boot_checks_total", **names) or 0) == checks
