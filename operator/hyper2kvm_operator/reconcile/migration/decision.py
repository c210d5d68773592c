"""Decisions: the actions to take, the status to write, and when to look again."""

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import Literal

from hyper2kvm_api.errors import Hyper2kvmError
from hyper2kvm_api.kubernetes_types import Condition
from hyper2kvm_api.migration import Blocked, Failure, Phase, VirtualMachineMigrationStatus
from hyper2kvm_api.reasons import REASONS, Reason
from hyper2kvm_api.result import failure_of
from hyper2kvm_operator.build.metadata import Json
from hyper2kvm_operator.kube.resources import Resource
from hyper2kvm_operator.reconcile.migration.observed import Observed

FINAL = {Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED}
"""Phases that only a change of the spec (or nothing) leaves."""

_LINE = 256
_TEXT = 4096

ACTIVE = {Phase.PLANNING, Phase.PROVISIONING, Phase.CONVERTING, Phase.HANDING_OFF}
"""Phases that take one of the operator's slots."""


@dataclass(frozen=True)
class Ensure:
    """Create an object unless it is there. One of the same name that is not this migration's is a conflict."""

    resource: Resource
    value: Json


@dataclass(frozen=True)
class Apply:
    """Server-side apply of an object of this migration. One of the same name that is not is a conflict."""

    resource: Resource
    value: Json


@dataclass(frozen=True)
class Rehearse:
    """Have the API server admit an object without storing it."""

    resource: Resource
    value: Json


@dataclass(frozen=True)
class Merge:
    """Merge a patch into an object, when it is there."""

    resource: Resource
    name: str
    patch: Json


@dataclass(frozen=True)
class Delete:
    """Delete an object of this migration, when it is there.

    Attributes:
        resource: its kind.
        name: its name.
        uid: its uid, so that nothing that took its name is deleted; None where the name itself is nobody else's.
    """

    resource: Resource
    name: str
    uid: str | None = None


@dataclass(frozen=True)
class SetFinalizer:
    """Put our finalizer on the migration, or take it off."""

    present: bool


@dataclass(frozen=True)
class IssueCertificate:
    """Make the certificate and one-time credentials of the image server, unless they are there.

    Attributes:
        host: DNS name that the certificate is for.
    """

    host: str


Action = Ensure | Apply | Rehearse | Merge | Delete | SetFinalizer | IssueCertificate


@dataclass(frozen=True)
class Occurrence:
    """An Event to record on the migration.

    Attributes:
        reason: CamelCase word.
        message: for a person.
        warning: whether it is a warning.
    """

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True)
class Decision:
    """What to do.

    Attributes:
        status: the status to write.
        actions: in order; they may be repeated without harm.
        requeue: seconds until the next look; None waits for something to happen.
        occurrences: Events to record.
    """

    status: VirtualMachineMigrationStatus
    actions: tuple[Action, ...] = ()
    requeue: float | None = None
    occurrences: tuple[Occurrence, ...] = field(default=())

    def also(self, *actions: Action) -> "Decision":
        """The same with more actions at the end."""
        return replace(self, actions=(*self.actions, *actions))


def timestamp(moment: dt.datetime) -> str:
    """A time as Kubernetes writes it (RFC 3339, UTC, seconds)."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_since(o: Observed, moment: str | None) -> float:
    """Seconds since a time of the status; 0 when there is none."""
    return (o.now - dt.datetime.fromisoformat(moment)).total_seconds() if moment else 0.0


def line(text: str) -> str:
    """A text as `status.progress` can hold it."""
    return text if len(text) <= _LINE else text[: _LINE - 1] + "…"


def enter(o: Observed, phase: Phase, message: str, **changes: object) -> VirtualMachineMigrationStatus:
    """The status at the start of a phase; `changes` are fields by Python name."""
    moment = timestamp(o.now)
    fields: dict[str, object] = {
        "phase": phase,
        "phase_started_at": moment,
        "stage": None,
        "progress": line(message),
        "finished_at": moment if phase in FINAL else None,
        "blocked": None,
        **changes,
    }
    return o.status.replaced(**fields)


def with_condition(
    o: Observed, status: VirtualMachineMigrationStatus, type_: str, *, holds: bool | None, reason: str, message: str
) -> VirtualMachineMigrationStatus:
    """The status with a condition set; its transition time changes only when it starts or ends to hold."""
    word: Literal["True", "False", "Unknown"] = "Unknown" if holds is None else "True" if holds else "False"
    before = next((c for c in status.conditions if c.type == type_), None)
    since = before.last_transition_time if before and before.status == word else timestamp(o.now)
    made = Condition(
        type=type_,
        status=word,
        reason=reason,
        message=message,
        last_transition_time=since,
        observed_generation=o.generation,
    )
    return status.replaced(conditions=[*(c for c in status.conditions if c.type != type_), made])


def failed(o: Observed, failure: Failure) -> Decision:
    """End in failure. What was made stays, so that an edit can go on from it."""
    status = enter(o, Phase.FAILED, f"{failure.reason}: {failure.message}", failure=failure)
    return Decision(status, occurrences=(Occurrence(failure.reason, _sentence(failure), warning=True),))


def failed_by(o: Observed, error: Hyper2kvmError) -> Decision:
    """End in failure by an error."""
    return failed(o, failure_of(error))


def refused(o: Observed, error: Hyper2kvmError) -> Decision:
    """End in failure by a spec that no work has begun with: whatever is edited then is another try."""
    decision = failed_by(o, error)
    if any(disk.handed_off for disk in o.status.disks):  # what the disks were made by stays known
        return decision
    return replace(decision, status=decision.status.replaced(effective_spec=None))


def failure_for(reason: Reason, message: str) -> Failure:
    """The failure that a reason is, with its remedy."""
    return Failure(reason=str(reason), message=message[:_TEXT], hint=REASONS[reason].remedy)


def blocked(o: Observed, reason: str, message: str) -> Blocked:
    """What keeps the migration from going on: since now, or since it was first told."""
    known = o.blocked is not None and o.blocked.reason == reason
    since = o.blocked.since if o.blocked is not None and known else timestamp(o.now)
    return Blocked(reason=reason, message=message[:_TEXT], since=since)


def waiting(o: Observed, reason: Reason, message: str, condition: str, *, patience: float | None = None) -> Decision:
    """Go on waiting for something outside, and fail when it has lasted too long.

    Args:
        o: what is observed.
        reason: what is waited out.
        message: the same in words.
        condition: the condition that it keeps from holding.
        patience: seconds that it may last; the operator's setting when None.
    """
    held = blocked(o, str(reason), message)
    if seconds_since(o, held.since) > (o.settings.start_deadline if patience is None else patience):
        return failed(o, failure_for(reason, message))
    status = with_condition(o, o.status, condition, holds=False, reason=str(reason), message=message)
    news = o.blocked is None or o.blocked.reason != held.reason
    return Decision(
        status.replaced(progress=line(message), blocked=held),
        requeue=10.0,
        occurrences=(Occurrence(str(reason), message, warning=True),) if news else (),
    )


def _sentence(failure: Failure) -> str:
    where = "".join(f"{name} {value}: " for name, value in (("disk", failure.disk), ("file", failure.file)) if value)
    return f"{where}{failure.message} {failure.hint or ''}".strip()[:1024]
