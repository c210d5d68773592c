import pytest

from hyper2kvm.boot.unlock import ANSWER_SECONDS, STILL_SECONDS, Unlocker, can_type
from hyper2kvm.boot.verdict import Shown, Snapshot

PROMPT = "Please unlock disk cryptroot: "
REFUSED = f"{PROMPT}\ncryptsetup: ERROR: cryptroot: cryptsetup failed, bad password or options?\n{PROMPT}"


class Keyboard:
    """QEMU's keyboard: what is typed, as a person would read it."""

    def __init__(self) -> None:
        self.pressed: list[str] = []

    def execute(self, command: str, **arguments: object) -> object:
        assert command == "send-key"
        keys = arguments["keys"]
        assert isinstance(keys, list)
        self.pressed.append("+".join(key["data"] for key in keys))
        return {}

    @property
    def lines(self) -> list[str]:
        return " ".join(self.pressed).replace("ret", "|").strip("| ").split(" | ") if self.pressed else []


@pytest.fixture
def keyboard() -> Keyboard:
    return Keyboard()


def unlocker(*passphrases: str) -> Unlocker:
    return Unlocker(passphrases, pause=lambda _: None)


def screen(text: str, still: float = STILL_SECONDS) -> Snapshot:
    return Snapshot(screen=Shown(text, still))


def test_a_prompt_that_stands_still_is_answered_once(keyboard):
    unlock = unlocker("aB 1!")
    assert unlock.look(keyboard, screen(PROMPT, 1), 10)
    assert keyboard.pressed == []
    assert unlock.look(keyboard, screen(PROMPT), 15)
    assert unlock.look(keyboard, screen(PROMPT), 16)
    assert keyboard.pressed == ["a", "shift+b", "spc", "1", "shift+1", "ret"]


def test_a_refused_answer_is_followed_by_the_next(keyboard):
    unlock = unlocker("a", "b")
    unlock.look(keyboard, screen(PROMPT), 10)
    assert unlock.look(keyboard, screen(REFUSED), 20)
    assert keyboard.lines == ["a", "b"]
    assert not unlock.look(keyboard, screen(f"{REFUSED}\n{PROMPT}"), 30)
    assert keyboard.lines == ["a", "b"]


def test_asterisks_behind_a_prompt_are_no_new_prompt(keyboard):
    unlock = unlocker("a", "b")
    asks = "Please enter passphrase for disk root: (press TAB for no echo) "
    unlock.look(keyboard, screen(asks), 10)
    assert unlock.look(keyboard, screen(f"{asks}*****"), 20)
    assert keyboard.lines == ["a"]


def test_each_device_is_asked_for_with_every_passphrase(keyboard):
    unlock = unlocker("a", "b")
    unlock.look(keyboard, screen(PROMPT), 10)
    other = f"{PROMPT}\ncryptsetup: cryptroot: set up successfully\nPlease unlock disk data: "
    assert unlock.look(keyboard, screen(other), 20)
    assert keyboard.lines == ["a", "a"]


def test_a_guest_that_is_unlocked_is_not_asked_again(keyboard):
    unlock = unlocker("a")
    unlock.look(keyboard, screen(PROMPT), 10)
    assert unlock.look(keyboard, screen(f"{PROMPT}\ncryptsetup: cryptroot: set up successfully"), 900)
    assert keyboard.lines == ["a"]


def test_an_answer_that_leads_to_nothing_is_given_up(keyboard):
    unlock = unlocker("a")
    unlock.look(keyboard, screen(PROMPT), 10)
    assert unlock.look(keyboard, screen(PROMPT), 9 + ANSWER_SECONDS)
    assert not unlock.look(keyboard, screen(PROMPT), 11 + ANSWER_SECONDS)


@pytest.mark.parametrize("text", ["web01 login: ", f"{PROMPT}\nweb01 login: ", "", "Enter your name: "])
def test_nothing_is_typed_where_no_disk_is_asked_for(keyboard, text):
    assert not unlocker("a").look(keyboard, screen(text), 10)
    assert keyboard.pressed == []


def test_a_prompt_on_the_serial_port_alone_is_not_answered(keyboard):
    """What is typed would be shown on the screen."""
    assert not unlocker("a").look(keyboard, Snapshot(serial=Shown(PROMPT, 60), screen=Shown("", 60)), 10)
    assert keyboard.pressed == []


@pytest.mark.parametrize("passphrase", ["", "caf\u00e9", "two\nlines", "tab\t", "\x00"])
def test_what_no_keyboard_has_is_not_typed(keyboard, passphrase):
    assert not can_type(passphrase)
    assert not unlocker(passphrase).look(keyboard, screen(PROMPT), 10)
    assert keyboard.pressed == []


def test_every_printable_character_can_be_typed():
    assert can_type("".join(map(chr, range(0x20, 0x7F))))
