"""History: every event of a workspace's runs, one JSON object a line, for the report."""

from pathlib import Path

import pydantic

from hyper2kvm_api.event import Event, EventType


class History:
    """The file `events.jsonl` of a workspace. Lines that a killed run left torn are ignored."""

    def __init__(self, workspace: Path) -> None:
        self._file = workspace / "events.jsonl"

    def add(self, event: Event) -> None:
        """Keep an event. Progress is not kept: it tells nothing afterwards."""
        if event.type is EventType.PROGRESS:
            return
        with self._file.open("a") as lines:
            lines.write(event.to_json() + "\n")

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
