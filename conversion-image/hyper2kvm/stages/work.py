"""Work: what every stage is given."""

import threading
from dataclasses import dataclass, field

from hyper2kvm.events import Events
from hyper2kvm.sources.description import Source
from hyper2kvm.workspace import Workspace
from hyper2kvm_api.plan import Plan


@dataclass(frozen=True)
class Work:
    """One run of the pipeline.

    Attributes:
        plan: what to do.
        source: where the disks come from.
        workspace: where progress is kept.
        events: where progress is told.
        stop: set when the run ends early; loops in threads look at it.
    """

    plan: Plan
    source: Source
    workspace: Workspace
    events: Events
    stop: threading.Event = field(default_factory=threading.Event)
