"""History: every event of a workspace's runs, one JSON object a line, for the report."""

import os
from pathlib import Path

import pydantic

from hyper2kvm.workspace import FULL, host_errors
from hyper2kvm_api.event import Event, EventType


class History:
    """The file `events.jsonl` of a workspace. Lines that a killed run left torn are ignored."""

    def __init__(self, workspace: Path) -> None:
        self._file = workspace / "events.jsonl"
        self._waiting = b""

    def add(self, event: Event) -> None:
        """Keep an event. Progress is not kept: it tells nothing afterwards.

        Where the disk is full, events wait for room: what fails then is what fills the disk, not its record.

        Raises:
            HostError: WorkspaceUnusable.
        """
        if event.type is EventType.PROGRESS:
            return
        self._waiting += event.to_json().encode() + b"\n"
        with host_errors(self._file):
            try:
                _append(self._file, self._waiting)
            except OSError as error:
                if error.errno not in FULL:
                    raise
                return
        self._waiting = b""

    def events(self) -> list[Event]:
        """All events, oldest first."""
        if not self._file.is_file():
            return []
        found = []
        for line in self._file.read_text(errors="replace").splitlines():
            try:
                found.append(Event.model_validate_json(line))
            except pydantic.ValidationError:
                continue
        return found


def _append(file: Path, lines: bytes) -> None:
    """Add whole lines, or nothing."""
    with file.open("ab", buffering=0) as opened:
        start = opened.seek(0, os.SEEK_END)
        try:
            left = memoryview(lines)
            while left:
                left = left[opened.write(left) :]
        except OSError:
            opened.truncate(start)
            raise
