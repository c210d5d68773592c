"""What a run leaves behind in a pod of the operator's: its verdict, its report in the log, a telling exit code."""

import base64
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

from hyper2kvm.events import Events
from hyper2kvm_api.errors import Hyper2kvmError
from hyper2kvm_api.event import EventType
from hyper2kvm_api.reasons import EXIT_RETRY, REASONS
from hyper2kvm_api.result import Outcome, Result, failure_of

TERMINATION_LOG = "HYPER2KVM_TERMINATION_LOG"
"""The operator's pods have this variable: the file from which Kubernetes reads a container's last words."""


def leave(result: Result) -> None:
    """Leave the verdict for Kubernetes, in at most 4096 bytes. Does nothing outside of a pod."""
    if TERMINATION_LOG in os.environ:
        Path(os.environ[TERMINATION_LOG]).write_text(result.fitted())


def exit_code(error: Hyper2kvmError) -> int:
    """The exit code of a failure: in a pod EXIT_RETRY when it may pass, else its kind's."""
    retry = TERMINATION_LOG in os.environ and REASONS[error.reason].retry
    return EXIT_RETRY if retry else error.exit_code


def result_of(error: Hyper2kvmError, warnings: Sequence[str] = ()) -> Result:
    """The verdict of a run that ended with an error."""
    return Result(
        outcome=Outcome.FAILED,
        retry=REASONS[error.reason].retry,
        failure=failure_of(error),
        warnings=tuple(warnings),
    )


def tell_report(events: Events, files: Sequence[Path]) -> None:
    """Write the report's files into the log, for the operator to keep. Does nothing outside of a pod."""
    if TERMINATION_LOG not in os.environ:
        return
    for file in files:
        packed = base64.b64encode(zlib.compress(file.read_bytes(), 9)).decode()
        events.emit(EventType.REPORT, file=file.name, data=packed)
