"""The operator's metrics. The reference page is generated from this table."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_STAGE_BUCKETS = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)


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
        self.bytes = Counter("hyper2kvm_copied_bytes_total", "Bytes of disks that were copied.", registry=self.registry)
        self.boots = Counter(
            "hyper2kvm_boot_proofs_total",
            "Boot checks of migrated guests, by what showed that they came up.",
            ["evidence", "accelerator"],
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
        self.queue = Gauge("hyper2kvm_queue_length", "Migrations that wait to be looked at.", registry=self.registry)
        self.requests = Counter("hyper2kvm_api_requests_total", "Requests to the API server.", registry=self.registry)
