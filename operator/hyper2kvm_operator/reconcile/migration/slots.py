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
    mine = _order(migration)
    ahead = sum(1 for other in others if _waits(other) and _order(other) < mine)
    return _working(others) + ahead < limit, ahead


def next_to_start(all_of_them: Sequence[KubeObject], limit: int) -> list[KubeObject]:
    """Those that wait and for which there is a slot."""
    free = max(0, limit - _working(all_of_them))
    return sorted((one for one in all_of_them if _waits(one)), key=_order)[:free]


def _working(migrations: Sequence[KubeObject]) -> int:
    return sum(1 for one in migrations if _phase(one) in ACTIVE and not held(one))


def _waits(migration: KubeObject) -> bool:
    return _phase(migration) in _WAITING and not held(migration)


def _phase(migration: KubeObject) -> str | None:
    phase: str | None = migration.get("status", {}).get("phase")
    return phase


def held(migration: KubeObject) -> bool:
    """Whether it neither takes a slot nor waits for one, whatever its phase: it is suspended, cancelled or going."""
    spec = migration.get("spec", {})
    return bool(spec.get("suspend") or spec.get("cancel")) or "deletionTimestamp" in migration["metadata"]


def _order(migration: KubeObject) -> tuple[str, str]:
    return migration["metadata"]["creationTimestamp"], migration["metadata"]["uid"]
