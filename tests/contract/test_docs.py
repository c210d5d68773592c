"""What the documentation says exists: the files that it links to, fields of examples, commands and their options."""

import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hyper2kvm.cli.reference import commands
from hyper2kvm_api.manifest import parse
from hyper2kvm_api.merge import without_nulls
from hyper2kvm_api.migration import MigrationProfile, VirtualMachineMigration

REPOSITORY = Path(__file__).parents[2]
PAGES = [
    page
    for page in sorted(REPOSITORY.rglob("*.md"))
    if not {part for part in page.relative_to(REPOSITORY).parts if part.startswith(".") or part == "out"}
]
KINDS = {model.model_fields["kind"].default: model for model in (VirtualMachineMigration, MigrationProfile)}

_FENCE = re.compile(r"^([ ]*)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)


def blocks(page: Path, *languages: str) -> list[str]:
    return [textwrap.dedent(body) for _, language, body in _FENCE.findall(page.read_text()) if language in languages]


def told(page: Path, program: str) -> Iterator[list[str]]:
    """The words of every command line of a program, in blocks of shell and between backticks."""
    text = page.read_text()
    lines = [
        line for block in blocks(page, "sh", "bash", "console") for line in block.replace("\\\n", " ").splitlines()
    ]
    lines += _INLINE.findall(_FENCE.sub("", text))
    for line in lines:
        words = shlex.split(line.strip().removeprefix("$ ").split(" | ")[0], comments=True)
        if words[:1] == [program]:
            yield words


def named(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def anchors(page: Path) -> set[str]:
    """Names of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_to_what_is_there(page):
    broken = []
    for link in _LINK.findall(_INLINE.sub("", _FENCE.sub("", page.read_text()))):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_examples_are_valid(page):
    for block in blocks(page, "yaml"):
        for value in yaml.safe_load_all(block):
            if isinstance(value, dict) and value.get("kind") in KINDS:
                parse(KINDS[value["kind"]], without_nulls(value), named(page))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_and_options_exist(page):
    known = {
        name: {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        for name, command in commands().items()
    }
    for words in told(page, "h2k"):
        options = [word.split("=")[0] for word in words[1:] if word.startswith("-")]
        names = [word for word in words[1:2] if not word.startswith("-")]
        assert set(names) <= set(known), words
        allowed = set().union(*(known[name] for name in names or known), {"--help", "--version"})
        assert set(options) <= allowed, words


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_targets_of_make_exist(page):
    targets = set(_TARGET.findall((REPOSITORY / "Makefile").read_text()))
    assert {word for words in told(page, "make") for word in words[1:] if "=" not in word} <= targets
