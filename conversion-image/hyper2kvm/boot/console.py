"""The log of a guest's serial port while it grows: its end as plain text."""

import re
from pathlib import Path

TAIL = 64 * 1024
"""Bytes at the end of the log that are looked at."""

_PLACED = re.compile(r"\x1b\[\d*;\d*[Hf]")
_ESCAPES = re.compile(
    r"\x1b\[[0-?]{0,32}[ -/]{0,8}[@-~]"  # ECMA-48, 5.4: control sequences
    r"|\x1b\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)"  # operating system commands: window titles
    r"|\x1b[ -/]{0,4}[0-~]"  # the rest, character sets among them
)


def plain(raw: bytes) -> str:
    """What a terminal would show, line by line, without colours and other controls.

    A cursor that is placed somewhere else begins a line: firmware draws its console like that.
    """
    text = _ESCAPES.sub("", _PLACED.sub("\n", raw.decode(errors="replace")))
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in text if c.isprintable() or c in "\n\t")


def tail(path: Path, count: int = TAIL) -> bytes:
    """The last bytes of a file; empty when it is not there."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - count))
            return file.read(count)
    except FileNotFoundError:
        return b""


def size(path: Path) -> int:
    """Bytes of a file; 0 when it is not there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
