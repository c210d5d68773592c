"""The stages of the pipeline, by name and in order."""

from enum import StrEnum


class Stage(StrEnum):
    """A stage of the pipeline."""

    FETCH = "Fetch"
    FLATTEN = "Flatten"
    INSPECT = "Inspect"
    FIX = "Fix"
    CONVERT = "Convert"
    VALIDATE = "Validate"

    @property
    def document(self) -> str:
        """Name of the stage's document in a workspace, without `.json`."""
        return "guest" if self is Stage.INSPECT else self.lower()
