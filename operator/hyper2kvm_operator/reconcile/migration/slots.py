"""Slots: how many migrations work at the same time, and who is next. Pure."""

from collections.abc import Sequence

from hyper2kvm_operator.kube.client import KubeObject
from hyper2kvm_operator.reconcile.migration.decision import ACTIVE

_WAITING = {None, "Pending"}


def slot(migration: KubeObject, all_of_them: Sequence[KubeObject], limit: int) -> tuple[bool, int]:
    """Whether a migration may start, and how many wait before it.

    Those that were created first go first. A suspended migration takes no slot and does not wait.
    """
    others = [other for other in all_of_them if other["metadata"]["uid"] != migration["metadata"]["uid"]]
    working = sum(1 for other in others if _phase(other) in ACTIVE and not _held(other))
    mine = _order(migration)
    ahead = sum(1 for other in others if _phase(other) in _WAITING and not _held(other) and _order(other) < mine)
    return working + ahead < limit, ahead


def _phase(migration: KubeObject) -> str | None:
    phase: str | None = migration.get("status", {}).get("phase")
    return phase


def _held(migration: KubeObject) -> bool:
    spec = migration.get("spec", {})
    return bool(spec.get("suspend") or spec.get("cancel")) or "deletionTimestamp" in migration["metadata"]


def _order(migration: KubeObject) -> tuple[str, str]:
    return migration["metadata"]["creationTimestamp"], migration["metadata"]["uid"]
