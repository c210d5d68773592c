"""Typing passphrases where a started guest asks for them on its screen, so that more than its prompt is seen.

What is typed goes to QEMU's keyboard and nowhere else: not into logs, arguments or messages. It is typed only while the
last line on the screen is a prompt of the programs that ask without showing the answer.
"""

import string
import time
from collections.abc import Callable, Mapping, Sequence

from hyper2kvm.boot.qmp import Control
from hyper2kvm.boot.signs import asks_to_unlock, fold
from hyper2kvm.boot.verdict import Snapshot

STILL_SECONDS = 6.0
"""How long a prompt must have stood still."""

ANSWER_SECONDS = 240.0
"""How long a guest may work on an answer: Argon2's gibibyte takes minutes under emulation."""

_HELD_MILLISECONDS = 20
_KEY_SECONDS = 0.05
"""Seconds between keys: the keyboard's queue has sixteen places."""

_SHIFTED = dict(
    zip(
        '!@#$%^&*()_+{}|:"<>?~' + string.ascii_uppercase,
        "1234567890-=[]\\;',./`" + string.ascii_lowercase,
        strict=True,
    )
)
"""Characters of the shift key by the ones below them, on the American keyboard that an initramfs has."""

_NAMES: Mapping[str, str] = {
    " ": "spc",
    "-": "minus",
    "=": "equal",
    "[": "bracket_left",
    "]": "bracket_right",
    "\\": "backslash",
    ";": "semicolon",
    "'": "apostrophe",
    ",": "comma",
    ".": "dot",
    "/": "slash",
    "`": "grave_accent",
}
"""QEMU's names of keys (QKeyCode in qapi/ui.json); letters and digits are called as they are."""


def can_type(passphrase: str) -> bool:
    """Whether a passphrase consists of what an American keyboard has."""
    return bool(passphrase) and all(map(_keys, passphrase))


class Unlocker:
    """Types the passphrases that open a guest's devices, each once at each prompt."""

    def __init__(self, passphrases: Sequence[str], *, pause: Callable[[float], None] = time.sleep) -> None:
        """`pause` waits that many seconds."""
        self._passphrases = [each for each in passphrases if can_type(each)]
        self._pause = pause
        self._tries: dict[str, int] = {}
        self._typed: tuple[str, int, float] | None = None

    def look(self, control: Control, seen: Snapshot, now: float) -> bool:
        """Answer what the guest asks; whether its prompts are being answered, and so are no end.

        Raises:
            ControlLost: QEMU has ended.
            HostError: ProgramFailed or ProgramTimedOut.
        """
        prompt = asks_to_unlock(seen.screen.text)
        if prompt is None or not self._passphrases:
            return bool(self._tries)
        count = _prompts(seen.screen.text)
        if self._typed is not None and self._typed[:2] == (fold(prompt), count):
            return now - self._typed[2] < ANSWER_SECONDS
        tried = self._tries.get(fold(prompt), 0)
        if tried >= len(self._passphrases):
            return False
        if seen.screen.still >= STILL_SECONDS:
            self._tries[fold(prompt)] = tried + 1
            self._typed = (fold(prompt), count, now)
            self._type(control, self._passphrases[tried])
        return True

    def _type(self, control: Control, passphrase: str) -> None:
        for names in (*map(_keys, passphrase), ("ret",)):
            keys = [{"type": "qcode", "data": name} for name in names]
            control.execute("send-key", **{"keys": keys, "hold-time": _HELD_MILLISECONDS})
            self._pause(_KEY_SECONDS)


def _prompts(text: str) -> int:
    """How many prompts a screen shows: one more after a refused answer."""
    return sum(asks_to_unlock(line) is not None for line in text.splitlines())


def _keys(character: str) -> tuple[str, ...]:
    """The keys that make a character, pressed together; none where the keyboard has no such character."""
    plain = _SHIFTED.get(character, character)
    if not (plain in _NAMES or (plain.isascii() and plain.isalnum())):
        return ()
    name = _NAMES.get(plain, plain)
    return ("shift", name) if character in _SHIFTED else (name,)
