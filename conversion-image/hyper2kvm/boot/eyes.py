"""What a guest shows while it starts, and since when: its screen, its serial port, and its probe's reports."""

from pathlib import Path

from hyper2kvm.boot import console, ocr
from hyper2kvm.boot.qmp import Control
from hyper2kvm.boot.reports import MAX_BYTES, parse_reports
from hyper2kvm.boot.screen import Picture, differs, read_ppm
from hyper2kvm.boot.signs import shows_login
from hyper2kvm.boot.verdict import Shown
from hyper2kvm.stages.documents import Probe

_PICTURE_INTERVAL = 3.0
"""Seconds between pictures of the screen."""


class SerialPort:
    """What the first serial port shows, and since when."""

    def __init__(self, log: Path) -> None:
        """`log` is the file that QEMU writes."""
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


class ReportPort:
    """What the probe has reported on the second serial port, and since when."""

    def __init__(self, log: Path, token: str) -> None:
        """`log` is the file that QEMU writes, `token` marks the reports of this start."""
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


class Screen:
    """What the screen shows, and since when. It is read when it has stood still, and only once.

    Attributes:
        picture: the last picture; None before the first.
    """

    def __init__(self, file: Path) -> None:
        """`file` is where QEMU may put a picture."""
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
