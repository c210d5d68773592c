"""The operator's metrics. The reference page is generated from this table; the alerts and the dashboard use its names.

Series with known labels are there from the start, at zero: Prometheus sees no increase in a series that begins at one.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from hyper2kvm_api.migration import BootStatus, Phase
from hyper2kvm_api.reasons import Reason
from hyper2kvm_api.stage import Stage

_STAGE_BUCKETS = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)
_FINAL = (Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED)
_BOOT_FAILURES = (Reason.BOOT_FAILED, Reason.BOOT_TIMED_OUT)


class Metrics:
    """Every metric, in one registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.migrations = Gauge("hyper2kvm_migrations", "Migrations by phase.", ["phase"], registry=self.registry)
        self.finished = Counter(
            "hyper2kvm_migrations_finished_total",
            "Migrations that reached a final phase.",
            ["phase"],
            registry=self.registry,
        )
        self.failures = Counter(
            "hyper2kvm_failures_total", "Failed migrations by reason.", ["reason"], registry=self.registry
        )
        self.phase_seconds = Histogram(
            "hyper2kvm_phase_duration_seconds",
            "Time that migrations spent in a phase.",
            ["phase"],
            buckets=_STAGE_BUCKETS,
            registry=self.registry,
        )
        self.stage_seconds = Histogram(
            "hyper2kvm_stage_duration_seconds",
            "Time that a stage of the pipeline took, as its pod tells; stages that an earlier pod had done are not among them.",
            ["stage"],
            buckets=_STAGE_BUCKETS,
            registry=self.registry,
        )
        self.bytes = Counter("hyper2kvm_copied_bytes_total", "Bytes of disks that were copied.", registry=self.registry)
        self.boots = Counter(
            "hyper2kvm_boot_checks_total",
            "Boot checks of migrated guests by verdict (Booted, BootFailed, BootTimedOut, Skipped), and by what showed "
            "that they came up.",
            ["verdict", "evidence", "accelerator"],
            registry=self.registry,
        )
        self.reconcile_seconds = Histogram(
            "hyper2kvm_reconcile_duration_seconds",
            "Time of one look at a migration, with everything done about it.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
            registry=self.registry,
        )
        self.reconcile_errors = Counter(
            "hyper2kvm_reconcile_errors_total", "Looks that failed and are repeated.", ["kind"], registry=self.registry
        )
        self.queue = Gauge(
            "hyper2kvm_queue_length", "Migrations that are due or being looked at.", registry=self.registry
        )
        self.requests = Counter("hyper2kvm_api_requests_total", "Requests to the API server.", registry=self.registry)
        self._begin()

    def stage(self, stage: str, seconds: float) -> None:
        """Count a stage that a pod has finished."""
        self.stage_seconds.labels(stage).observe(seconds)

    def boot(self, boot: BootStatus) -> None:
        """Count the boot check of a migration that did not fail by it."""
        self.boots.labels(boot.verdict, boot.evidence or "", boot.accelerator or "").inc()

    def failure(self, reason: str) -> None:
        """Count a migration that failed, and its boot check when that is why."""
        self.failures.labels(reason).inc()
        if reason in _BOOT_FAILURES:
            self.boots.labels(reason, "", "").inc()

    def _begin(self) -> None:
        for phase in _FINAL:
            self.finished.labels(phase.value)
        for reason in Reason:
            self.failures.labels(reason.value)
        for stage in Stage:
            self.stage_seconds.labels(stage.value)
        for verdict in (*_BOOT_FAILURES, "Skipped"):
            self.boots.labels(str(verdict), "", "")
