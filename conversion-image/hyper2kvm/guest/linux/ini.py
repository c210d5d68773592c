"""Files of sections and keys, as systemd (systemd.syntax(7)) and NetworkManager keyfiles have them.

Keys may repeat, so Python's configparser does not fit; the text can be edited by line without touching the rest.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A key with its value.

    Attributes:
        section: the section's name; empty before the first one.
        key: the key.
        value: the value, without surrounding blanks.
        line: number of the line, from 1.
    """

    section: str
    key: str
    value: str
    line: int


def entries(text: str) -> Iterator[Entry]:
    """The live keys in order."""
    section = ""
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            continue
        key, equals, value = line.partition("=")
        if equals and not line.startswith(("#", ";")):
            yield Entry(section, key.strip(), value.strip(), number)


def values(text: str, section: str, key: str) -> list[str]:
    """The words of every value of a key, in order; an empty assignment clears what stood before (systemd.syntax(7))."""
    words: list[str] = []
    for entry in entries(text):
        if (entry.section, entry.key) == (section, key):
            words = words + entry.value.split() if entry.value else []
    return words


def first(text: str, section: str, key: str) -> str | None:
    """The first value of a key, or None."""
    return next((entry.value for entry in entries(text) if (entry.section, entry.key) == (section, key)), None)


def with_line(text: str, entry: Entry, replacement: str) -> str:
    """The text with another content of an entry's line; its line end stays."""
    lines = text.split("\n")
    end = "\r" if lines[entry.line - 1].endswith("\r") else ""
    lines[entry.line - 1] = replacement + end
    return "\n".join(lines)
