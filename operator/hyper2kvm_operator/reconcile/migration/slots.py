"""Slots: how many migrations work at the same time, and who is next. Pure."""

from collections.abc import Sequence

from hyper2kvm_api.migration import Phase
from hyper2kvm_operator.kube.overview import Overview
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


def slot(migration: Overview, all_of_them: Sequence[Overview], limit: int) -> tuple[bool, int]:
    """Whether a migration may start or go on, and how many wait before it.

    Those that were created first go first. A suspended migration takes no slot and does not wait, nor does one that
    waits for something else.
    """
    others = [other for other in all_of_them if other.uid != migration.uid]
    mine = _order(migration)
    ahead = sum(1 for other in others if _waits(other) and _order(other) < mine)
    return _working(others) + ahead < limit, ahead


def next_to_start(all_of_them: Sequence[Overview], limit: int) -> list[Overview]:
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


def parked(migration: Overview) -> bool:
    """Whether it has started and is held: suspended, or resumed and without a slot yet."""
    return migration.blocked in PARKED and migration.phase in ACTIVE


def _working(migrations: Sequence[Overview]) -> int:
    return sum(1 for one in migrations if one.phase in ACTIVE and not one.held and not parked(one))


def _waits(migration: Overview) -> bool:
    if migration.held:
        return False
    return (migration.blocked is None and migration.phase in _WAITING) or parked(migration)


def _order(migration: Overview) -> tuple[str, str]:
    return migration.created, migration.uid
