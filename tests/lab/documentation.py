"""The documentation as data: its pages, and what they claim in code blocks and between backticks."""

import re
import shlex
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]

_SHELL = ("sh", "bash", "console")
_SEPARATORS = "|&;"
"""What stands between two commands of one line."""

_FENCE = re.compile(r"^([ ]*)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_SINCE = re.compile(r"^\[ *\d+ s\] ")
"""What the lab's programs put before each line."""

_NUMBER = re.compile(r"(\d+[dhms])+|\d[\d.,]*")
_ASSIGNMENT = re.compile(r"[A-Z_]+=")
"""A variable that a command line sets for its program."""


@dataclass(frozen=True)
class Page:
    """A page in Markdown.

    Attributes:
        path: where it lies.
        text: what it says.
    """

    path: Path
    text: str

    @property
    def name(self) -> str:
        """Its path in the repository."""
        return str(self.path.relative_to(REPOSITORY))

    @property
    def prose(self) -> str:
        """The text without code blocks."""
        return _FENCE.sub("", self.text)

    @property
    def links(self) -> list[str]:
        """Targets of its links, as they are written."""
        return _LINK.findall(_INLINE.sub("", self.prose))

    @property
    def anchors(self) -> set[str]:
        """Names of its headings, as GitHub makes them."""
        return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in _HEADING.findall(self.prose)}

    @property
    def inline(self) -> list[str]:
        """Texts between backticks, outside of code blocks."""
        return _INLINE.findall(self.prose)

    def blocks(self, *languages: str) -> list[str]:
        """Code blocks in these languages, without their indentation."""
        return [textwrap.dedent(body) for _, language, body in _FENCE.findall(self.text) if language in languages]

    @property
    def documents(self) -> list[Any]:
        """The YAML documents of its code blocks.

        Raises:
            yaml.YAMLError: one of them is none.
        """
        return [value for block in self.blocks("yaml") for value in yaml.safe_load_all(block) if value is not None]

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The Kubernetes objects among the documents."""
        return [value for value in self.documents if isinstance(value, dict) and "kind" in value]

    def commands(self, *programs: str) -> list[list[str]]:
        """The words of every command line of these programs, in blocks of shell and between backticks.

        Raises:
            ValueError: a quotation in a block of shell does not end.
        """
        shell = [line for block in self.blocks(*_SHELL) for line in block.replace("\\\n", " ").splitlines()]
        found = [words for line in shell for words in _commands(line)]
        for text in self.inline:
            # Between backticks stand also things that are no command lines, and are not quoted like one.
            with suppress(ValueError):
                found += _commands(text)
        return [words for words in found if words[0] in programs]


def pages() -> list[Page]:
    """Every page of the repository."""
    found = []
    for path in sorted(REPOSITORY.rglob("*.md")):
        folders = path.relative_to(REPOSITORY).parts
        if not any(part.startswith(".") or part == "out" for part in folders):
            found.append(Page(path, path.read_text()))
    return found


def _commands(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line.strip().removeprefix("$ "), posix=True, punctuation_chars=_SEPARATORS)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in (*lexer, _SEPARATORS):
        if set(word) <= set(_SEPARATORS):
            yield from [words] if words else []
            words = []
        elif words or not _ASSIGNMENT.match(word):
            words.append(word)


def untold(block: str, told: str) -> list[str]:
    """The lines of a block, which shows what a program says, that the program has not said. Numbers and widths may differ."""
    said = {_form(line) for line in told.splitlines()}
    return [line for line in block.splitlines() if line.strip() and _form(line) not in said]


def _form(line: str) -> str:
    return " ".join(_NUMBER.sub("0", _SINCE.sub("", line)).split())
