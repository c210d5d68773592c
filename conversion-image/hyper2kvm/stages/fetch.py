"""FETCH: the machine as the source describes it, and where its disks' bytes lie."""

from pathlib import Path

from hyper2kvm.events import Events
from hyper2kvm.sources.description import Fetched, FileState
from hyper2kvm.sources.files import open_source
from hyper2kvm_api.plan import PlannedSource


def fetch(source: PlannedSource, events: Events) -> Fetched:
    """Describe a source.

    Raises:
        SourceError: the source is missing, unreadable, damaged or not what it says.
        ImageError: a disk's image is damaged or unsafe to open.
    """
    fetched = open_source(Path(source.path), source.format).fetch()
    machine = fetched.machine
    events.note(f"{machine.name}: {machine.cpu.count} CPUs, {machine.memory >> 20} MiB, {len(machine.disks)} disk(s)")
    return fetched


def unchanged(fetched: Fetched) -> bool:
    """Whether every file of the source looks as it did."""
    return all(state_of(file.path) == file for file in fetched.files)


def state_of(path: str) -> FileState | None:
    """How a file looks now; None when it is not there."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return FileState(path=path, size=found.st_size, modified=found.st_mtime_ns)
