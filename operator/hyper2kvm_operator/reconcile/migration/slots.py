"""Slots: how many migrations work at the same time, and who is next. Pure."""

from collections.abc import Sequence

from hyper2kvm_api.migration import Phase
from hyper2kvm_operator.kube.client import KubeObject
from hyper2kvm_operator.reconcile.migration.decision import ACTIVE

LINE_MOVES = 60.0
"""Seconds between looks of who waits: a slot that becomes free wakes whom it is for; this only tells the others how they
have moved up."""

PAUSED = "Suspended"
NO_SLOT = "WaitingForSlot"
QUEUED = "Queued"
PARKED = {PAUSED, NO_SLOT}
"""Reasons for which a migration that has started is held, and takes no slot."""

_WAITING = {None, Phase.PENDING}


def slot(migration: KubeObject, all_of_them: Sequence[KubeObject], limit: int) -> tuple[bool, int]:
    """Whether a migration may start or go on, and how many wait before it.

    Those that were created first go first. A suspended migration takes no slot and does not wait, nor does one that
    waits for something else.
    """
    others = [other for other in all_of_them if other["metadata"]["uid"] != migration["metadata"]["uid"]]
    mine = _order(migration)
    ahead = sum(1 for other in others if _waits(other) and _order(other) < mine)
    return _working(others) + ahead < limit, ahead


def next_to_start(all_of_them: Sequence[KubeObject], limit: int) -> list[KubeObject]:
    """Those that wait and for which there is a slot."""
    free = max(0, limit - _working(all_of_them))
    return sorted((one for one in all_of_them if _waits(one)), key=_order)[:free]


def place_in_line(ahead: int) -> str:
    """How far from its turn who waits is, in words.

    Only the first are told exactly: each status that is written is looked at again, and a line moves all the time.
    """
    if ahead < 10:
        return f"waiting for a slot, {ahead} before this one"
    size = 10 ** (len(str(ahead)) - 1)
    return f"waiting for a slot, {ahead // size * size} or more before this one"


def parked(migration: KubeObject) -> bool:
    """Whether it has started and is held: suspended, or resumed and without a slot yet."""
    return _phase(migration) in ACTIVE and _blocked(migration) in PARKED


def _working(migrations: Sequence[KubeObject]) -> int:
    return sum(1 for one in migrations if _phase(one) in ACTIVE and not parked(one) and not held(one))


def _waits(migration: KubeObject) -> bool:
    if held(migration):
        return False
    return parked(migration) or (_phase(migration) in _WAITING and _blocked(migration) is None)


def _phase(migration: KubeObject) -> str | None:
    phase: str | None = migration.get("status", {}).get("phase")
    return phase


def _blocked(migration: KubeObject) -> str | None:
    reason: str | None = migration.get("status", {}).get("blocked", {}).get("reason")
    return reason


def held(migration: KubeObject) -> bool:
    """Whether it neither takes a slot nor waits for one, whatever its phase: it is suspended, cancelled or going."""
    spec = migration.get("spec", {})
    return bool(spec.get("suspend") or spec.get("cancel")) or "deletionTimestamp" in migration["metadata"]


def _order(migration: KubeObject) -> tuple[str, str]:
    return migration["metadata"]["creationTimestamp"], migration["metadata"]["uid"]
