"""Watching a guest start. The one place of the boot check that has a clock; what counts is decided in verdict.py."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hyper2kvm.boot import console, ocr
from hyper2kvm.boot.qemu import BootFiles
from hyper2kvm.boot.qmp import Control, ControlLost
from hyper2kvm.boot.reports import MAX_BYTES, parse_reports
from hyper2kvm.boot.screen import Picture, differs, read_ppm
from hyper2kvm.boot.signs import shows_login
from hyper2kvm.boot.verdict import CameUp, Expected, Shown, Snapshot, Stopped, decide
from hyper2kvm.stages.documents import Probe
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason

MAX_LOG = 64 * 2**20
"""Bytes that a guest may write to one serial port."""

_INTERVAL = 1.0
_PICTURE_INTERVAL = 3.0


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
            clock: seconds that never go back.
            pause: waits that many seconds.
        """
        self._control = control
        self._files = files
        self._clock = clock
        self._pause = pause
        self._started = clock()
        self._serial = _SerialPort(files.serial)
        self._screen = _Screen(picture)
        self._reports = _ReportPort(files.report, token)
        self._ended = False

    def until(self, deadline: float, expected: Expected) -> Ending:
        """Watch until there is a verdict, or `deadline` seconds after power-on.

        Raises:
            HostError: WorkspaceFull, when there is no room for what the guest writes.
        """
        while True:
            now = self._clock()
            over = now - self._started >= deadline
            seen = self._look(now, over=over)
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


class _SerialPort:
    """What the first serial port shows, and since when."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._size = 0
        self._changed = 0.0
        self._text = ""
        self._login: float | None = None

    def look(self, now: float) -> Shown:
        """What it shows now."""
        size = console.size(self._log)
        if size != self._size or not self._changed:
            self._size, self._changed = size, now
            self._text = console.plain(console.tail(self._log))
            self._login = _since(self._login, now, self._text)
        return Shown(self._text, now - self._changed, None if self._login is None else now - self._login)


class _ReportPort:
    """What the probe has reported on the second serial port, and since when."""

    def __init__(self, log: Path, token: str) -> None:
        self._log = log
        self._token = token
        self._size = 0
        self._since: float | None = None
        self._probes: tuple[Probe, ...] = ()

    def look(self, now: float) -> tuple[Probe, ...]:
        """The reports so far."""
        size = console.size(self._log)
        if size != self._size:
            self._size = size
            self._probes = parse_reports(console.plain(console.tail(self._log, MAX_BYTES)), self._token)
        if self._probes and self._since is None:
            self._since = now
        return self._probes

    def seconds(self, now: float) -> float:
        """Seconds since the first report."""
        return 0.0 if self._since is None else now - self._since


class _Screen:
    """What the screen shows, and since when. It is read when it has stood still, and only once."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._taken = float("-inf")
        self._changed = 0.0
        self._text: str | None = None
        self._login: float | None = None
        self.picture: Picture | None = None

    def look(self, control: Control, now: float) -> None:
        """Take a picture, when it is time for one, and read it when it has not changed since the one before."""
        if now - self._taken >= _PICTURE_INTERVAL and not self.take(control, now):
            self.read(now)

    def take(self, control: Control, now: float) -> bool:
        """Take a picture; whether it shows something new."""
        self._taken = now
        control.execute("screendump", filename=str(self._file))
        taken = read_ppm(self._file)
        if taken is None:
            return False
        new = self.picture is None or differs(self.picture, taken)
        if new:
            self._changed, self._text = now, None
        self.picture = taken
        return new

    def read(self, now: float) -> None:
        """Read the last picture, unless that was done."""
        if self.picture is not None and self._text is None:
            self._text = ocr.read(self.picture)
            self._login = _since(self._login, now, self._text)

    def shown(self, now: float) -> Shown:
        """What it shows now; a screen that moves shows no text."""
        login = None if self._login is None else now - self._login
        return Shown(self._text or "", now - self._changed if self._changed else 0.0, login)


def _since(known: float | None, now: float, text: str) -> float | None:
    """Since when a login prompt is shown."""
    if not shows_login(text):
        return None
    return now if known is None else known
