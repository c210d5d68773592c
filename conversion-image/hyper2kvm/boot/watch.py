"""Watching a guest start. The one place of the boot check that has a clock; what counts is decided in verdict.py."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from hyper2kvm.boot import console
from hyper2kvm.boot.eyes import ReportPort, Screen, SerialPort
from hyper2kvm.boot.qemu import BootFiles
from hyper2kvm.boot.qmp import Control, ControlLost
from hyper2kvm.boot.screen import Picture
from hyper2kvm.boot.unlock import Unlocker
from hyper2kvm.boot.verdict import CameUp, Expected, Snapshot, Stopped, decide
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason

MAX_LOG = 16 * 2**20
"""Bytes that a guest may write to one serial port."""

_INTERVAL = 1.0


@dataclass(frozen=True)
class Ending:
    """How the watch ended.

    Attributes:
        verdict: what was found; None when the time was over.
        seconds: seconds from power-on.
        seen: the last snapshot.
        picture: the last screen; None when there was none.
    """

    verdict: CameUp | Stopped | None
    seconds: float
    seen: Snapshot
    picture: Picture | None = field(repr=False)


class Watch:
    """The eyes on one start."""

    def __init__(
        self,
        control: Control,
        files: BootFiles,
        picture: Path,
        token: str,
        unlocker: Unlocker,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Watch a machine that has just been switched on.

        Args:
            control: connection to its QEMU.
            files: where it writes its serial ports.
            picture: where QEMU may put pictures.
            token: the token of the probe's reports.
            unlocker: answers prompts for passphrases.
            clock: seconds that never go back.
            pause: waits that many seconds.
        """
        self._control = control
        self._files = files
        self._unlocker = unlocker
        self._clock = clock
        self._pause = pause
        self._started = clock()
        self._serial = SerialPort(files.serial)
        self._screen = Screen(picture)
        self._reports = ReportPort(files.report, token)
        self._ended = False

    def until(self, deadline: float, expected: Expected) -> Ending:
        """Watch until there is a verdict, or `deadline` seconds after power-on.

        Raises:
            HostError: WorkspaceFull, when there is no room for what the guest writes.
        """
        while True:
            now = self._clock()
            over = now - self._started >= deadline
            seen = self._unlocked(self._look(now, over=over), now)
            verdict = decide(expected, seen)
            if verdict is not None or over:
                return Ending(verdict, now - self._started, seen, self._last_picture(now))
            self._pause(_INTERVAL)

    def _look(self, now: float, *, over: bool) -> Snapshot:
        try:
            self._screen.look(self._control, now)
            self._check_room()
        except ControlLost:
            self._ended = True
        if self._ended or over:
            self._screen.read(now)
        return Snapshot(
            serial=self._serial.look(now),
            screen=self._screen.shown(now),
            probes=self._reports.look(now),
            reported=self._reports.seconds(now),
            ended=self._ended,
            flooded=max(console.size(self._files.serial), console.size(self._files.report)) > MAX_LOG,
            over=over,
        )

    def _unlocked(self, seen: Snapshot, now: float) -> Snapshot:
        """What was seen, after a prompt for a passphrase in it was answered."""
        try:
            return seen if self._ended else replace(seen, unlocking=self._unlocker.look(self._control, seen, now))
        except ControlLost:
            self._ended = True
            return replace(seen, ended=True)

    def _last_picture(self, now: float) -> Picture | None:
        """The screen at the moment of the verdict; of a machine that has ended, the last one that was seen."""
        try:
            self._screen.take(self._control, now)
        except ControlLost:
            self._ended = True
        return self._screen.picture

    def _check_room(self) -> None:
        """QEMU pauses a guest whose write found no space (werror=enospc)."""
        for event in self._control.events:
            data = event.get("data")
            if event.get("event") == "BLOCK_IO_ERROR" and isinstance(data, dict) and data.get("nospace"):
                raise HostError(Reason.WORKSPACE_FULL, "no space left for the throw-away overlays of the boot check")
