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
