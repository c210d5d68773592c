"""FETCH: the machine as the source describes it, and where its disks' bytes lie."""

import threading

from hyper2kvm.events import Events
from hyper2kvm.sources.description import Fetched, Source


def fetch(source: Source, events: Events, stop: threading.Event) -> Fetched:
    """Describe a source.

    Raises:
        SourceError: the source is missing, unreadable, damaged or not what it says.
        ImageError: a disk's image is damaged or unsafe to open.
    """
    fetched = source.fetch(events, stop)
    machine = fetched.machine
    events.note(f"{machine.name}: {machine.cpu.count} CPUs, {machine.memory >> 20} MiB, {len(machine.disks)} disk(s)")
    return fetched
