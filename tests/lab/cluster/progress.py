"""Lines that say how far things are, and waiting with a deadline. No step is silent for longer than PERIOD."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hyper2kvm.run import Service, last_lines, scrub
from hyper2kvm_api.errors import HostError, Hyper2kvmError
from hyper2kvm_api.reasons import Reason

PERIOD = 10.0
"""Seconds between two lines about one step."""

_STARTED = time.monotonic()


def say(text: str) -> None:
    """One line, with the seconds since this process started."""
    print(f"[{time.monotonic() - _STARTED:5.0f} s] {text}", flush=True)  # noqa: T201 -- the command's output


def exit_code(command: Callable[[], int]) -> int:
    """Carry out a command; its exit code. An error is told in a line, and what to do about it in another."""
    try:
        return command()
    except Hyper2kvmError as error:
        say(f"{error.reason}: {error.message}")
        say(f"→ {error.hint}")
        return error.exit_code


def wait_for(
    what: str, missing: Callable[[], str | None], *, deadline: float, log: Path | None = None, pause: float = 0.5
) -> None:
    """Wait until `missing` returns None; until then it says what is still to come.

    Args:
        what: who is waited for.
        missing: asked every `pause` seconds.
        deadline: seconds.
        log: what to quote when the deadline passes.
        pause: seconds between two questions.

    Raises:
        HostError: ProgramTimedOut, with the last thing missing and the log's last lines.
    """
    began = spoke = time.monotonic()
    while (lacking := missing()) is not None:
        now = time.monotonic()
        if now - began > deadline:
            raise HostError(
                Reason.PROGRAM_TIMED_OUT,
                f"{what} is not ready after {deadline:.0f} s: {lacking}{_quote(log)}",
                hint=f"Read {log}." if log else "Look at its pods with the subcommand `kubectl`.",
            )
        if now - spoke >= PERIOD:
            say(f"{what}: waiting for {now - began:.0f} s, {lacking}")
            spoke = now
        time.sleep(pause)
    say(f"{what}: ready after {time.monotonic() - began:.0f} s")


def run_long(
    arguments: Sequence[str],
    *,
    what: str,
    log: Path,
    deadline: float,
    environment: Mapping[str, str] | None = None,
    hint: str = "",
) -> None:
    """Run a program that takes minutes; its output goes to `log`, of which the newest line is shown now and then.

    Args:
        arguments: program and arguments.
        what: what it does, for a person.
        log: takes its output.
        deadline: seconds.
        environment: variables added to this process's.
        hint: what a user can do when it fails, beside reading the log.

    Raises:
        HostError: ProgramFailed or ProgramTimedOut, with the log's last lines; ProgramMissing.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    say(f"{what} …")
    with Service(arguments, log=log, environment=environment) as program:
        while (code := program.wait(PERIOD)) is None:
            seconds = time.monotonic() - began
            if seconds > deadline:
                raise HostError(
                    Reason.PROGRAM_TIMED_OUT,
                    f"{what} did not end in {deadline:.0f} s{_quote(log)}",
                    hint=f"Read {log}.",
                )
            say(f"{what}: {seconds:.0f} s, {last_lines(tail(log), 1)[:100]}")
    if code != 0:
        advice = f"{hint} Read {log}." if hint else f"Read {log}."
        raise HostError(Reason.PROGRAM_FAILED, f"{what} ended with {code}{_quote(log)}", hint=advice)
    say(f"{what}: done in {time.monotonic() - began:.0f} s")


def tail(log: Path, size: int = 4096) -> str:
    """The last `size` bytes of a log, scrubbed; empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - size))
            return scrub(file.read())
    except FileNotFoundError:
        return ""


def _quote(log: Path | None) -> str:
    return f"\n--- last lines of {log}\n{tail(log)}\n---" if log else ""
