"""The watch with a clock and a QEMU of the test's own; the real ones are in test_check.py."""

from pathlib import Path

import pytest

from hyper2kvm.boot import eyes, watch
from hyper2kvm.boot.qemu import BootFiles
from hyper2kvm.boot.qmp import ControlLost
from hyper2kvm.boot.screen import Picture
from hyper2kvm.boot.unlock import Unlocker
from hyper2kvm.boot.verdict import CameUp, Expected, Stopped
from hyper2kvm.boot.watch import Watch
from hyper2kvm.stages.documents import Evidence
from hyper2kvm_api.errors import HostError
from hyper2kvm_api.reasons import Reason
from unit.boot.test_reports import LINES, MARK, sent

UNPROBED = Expected(probe=False, encrypted=False)
PROBED = Expected(probe=True, encrypted=False)


class FakeControl:
    """A QEMU whose screen shows one letter after the other, each as a picture of its own."""

    def __init__(self, letters: str) -> None:
        self.letters = iter(letters)
        self.events = []
        self.taken = 0
        self.typed = []

    def execute(self, command, **arguments):
        if command == "send-key":
            self.typed.append(arguments["keys"][-1]["data"])
            return
        assert command == "screendump"
        letter = next(self.letters, None)
        if letter is None:
            raise ControlLost
        self.taken += 1
        Path(arguments["filename"]).write_bytes(b"P6\n64 64\n255\n" + letter.encode() * (3 * 64 * 64))


class Lab:
    """A watch of two files and a screen; each pause of the watch is a second and runs what is due."""

    def __init__(self, folder, letters, happenings, passphrases) -> None:
        self.now = 100.0
        self.files = BootFiles(folder / "serial", folder / "report", folder / "control")
        self.control = FakeControl(letters)
        self.happenings = happenings
        self.watch = Watch(
            self.control,
            self.files,
            folder / "screen.ppm",
            MARK,
            Unlocker(passphrases, pause=lambda _: None),
            clock=lambda: self.now,
            pause=self.pause,
        )
        self.pause(0)

    def pause(self, seconds: float) -> None:
        self.now += seconds
        for moment in [moment for moment in self.happenings if self.now - 100 >= moment]:
            self.happenings.pop(moment)(self)


@pytest.fixture
def lab(tmp_path, monkeypatch):
    read = []

    def reading(picture: Picture) -> str:
        read.append(chr(picture.rgb[0]))
        return {"l": "web01 login: ", "p": "(initramfs) ", "u": "Please unlock disk root: "}.get(
            chr(picture.rgb[0]), ""
        )

    monkeypatch.setattr(eyes.ocr, "read", reading)

    def make(letters="a" * 1000, *, passphrases=(), **happenings):
        return Lab(tmp_path, letters, {int(name[1:]): each for name, each in happenings.items()}, passphrases)

    make.read = read
    return make


def writes(port, text):
    def write(lab):
        with getattr(lab.files, port).open("a") as file:
            file.write(text)

    return write


def test_a_login_prompt_on_the_serial_port_ends_the_watch(lab):
    ending = lab(t5=writes("serial", "web01 login: ")).watch.until(60, UNPROBED)
    assert ending.verdict == CameUp(Evidence.SERIAL_LOGIN)
    assert ending.seconds == 9


def test_messages_behind_a_login_prompt_do_not_start_it_anew(lab):
    made = lab(t5=writes("serial", "web01 login: "), t7=writes("serial", "\n[   9.0] random: crng init done\n"))
    assert made.watch.until(60, UNPROBED).seconds == 9


def test_a_screen_is_read_when_it_stands_still_and_only_once(lab):
    made = lab("abc" + "l" * 1000)
    ending = made.watch.until(60, UNPROBED)
    assert ending.verdict == CameUp(Evidence.SCREEN_LOGIN)
    assert lab.read == ["l"]


def test_a_screen_that_moves_is_read_at_the_end_only(lab):
    made = lab("abcdefghij" * 100)
    ending = made.watch.until(30, UNPROBED)
    assert ending.verdict is None
    assert len(lab.read) == 1


def test_pictures_are_taken_every_few_seconds(lab):
    made = lab()
    made.watch.until(30, UNPROBED)
    assert 8 <= made.control.taken <= 12


def test_the_last_picture_shows_the_moment_of_the_verdict(lab):
    ending = lab("pppppppz", t7=writes("serial", "Kernel panic - not syncing: x\n")).watch.until(60, UNPROBED)
    assert isinstance(ending.verdict, Stopped)
    assert ending.picture is not None


def test_reports_of_the_probe_end_the_watch(lab):
    later = LINES.replace("34.54", "39.60")
    made = lab(t20=writes("report", sent()), t25=writes("report", sent(later, 1)))
    ending = made.watch.until(60, PROBED)
    assert isinstance(ending.verdict, CameUp)
    assert (ending.seconds, ending.seen.reported) == (25, 5)


def test_a_guest_that_ends_is_read_a_last_time(lab):
    ending = lab("ap").watch.until(60, UNPROBED)
    assert isinstance(ending.verdict, Stopped)
    assert "initramfs" in ending.verdict.meaning


def test_the_watch_ends_at_its_deadline(lab):
    ending = lab().watch.until(30, UNPROBED)
    assert (ending.verdict, ending.seconds) == (None, 30)


def test_a_guest_that_is_unlocked_shows_more_than_its_prompt(lab):
    made = lab("u" * 10 + "l" * 1000, passphrases=["ab"])
    ending = made.watch.until(120, Expected(probe=False, encrypted=True))
    assert ending.verdict == CameUp(Evidence.SCREEN_LOGIN)
    assert made.control.typed == ["a", "b", "ret"]


def test_without_a_passphrase_the_prompt_is_what_a_guest_shows(lab):
    made = lab("u" * 1000)
    assert made.watch.until(120, Expected(probe=False, encrypted=True)).verdict == CameUp(Evidence.UNLOCK_PROMPT)
    assert made.control.typed == []


def test_a_flood_on_the_serial_port_ends_the_watch(lab, monkeypatch):
    monkeypatch.setattr(watch, "MAX_LOG", 1000)
    ending = lab(t3=writes("serial", "y\n" * 600)).watch.until(60, UNPROBED)
    assert isinstance(ending.verdict, Stopped)
    assert "without end" in ending.verdict.meaning


def test_a_full_workspace_is_an_error(lab):
    made = lab(t3=lambda lab: lab.control.events.append({"event": "BLOCK_IO_ERROR", "data": {"nospace": True}}))
    with pytest.raises(HostError, match="throw-away overlays") as caught:
        made.watch.until(60, UNPROBED)
    assert caught.value.reason is Reason.WORKSPACE_FULL
