"""What the documentation says exists: files that it links to, objects and fields, commands with their options and paths."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import yaml

from hyper2kvm.cli.reference import commands
from hyper2kvm_api.errors import SpecError
from hyper2kvm_api.manifest import parse
from hyper2kvm_api.merge import without_nulls
from hyper2kvm_api.migration import MigrationProfile, VirtualMachineMigration
from hyper2kvm_operator.chart.values import Values
from lab.documentation import REPOSITORY, Page, pages

PAGES = pages()
KINDS = {model.__name__: model for model in (VirtualMachineMigration, MigrationProfile)}
PLAIN = {
    ("v1", "Namespace"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "Pod"),
    ("v1", "Secret"),
    ("apps/v1", "DaemonSet"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
}
"""Kubernetes' own objects that pages show. A test on the cluster has the API server judge them."""

FILES = {
    "kubectl": ("-f", "--filename", "-k", "--kustomize"),
    "podman": ("-f", "--file"),
    "docker": ("-f", "--file"),
    "helm": ("-f", "--values"),
}
"""Program → its options whose value is a file. One without a folder is the reader's own."""

CHART_VERBS = {"install": 1, "upgrade": 1, "template": 1, "lint": 0, "package": 0}
"""Helm's verb → how many words stand before the chart."""

FLAGS = {"--create-namespace", "--install", "--wait", "--strict"}
"""Helm's options without a value."""

CHART = yaml.safe_load((REPOSITORY / "charts/hyper2kvm/values.yaml").read_text())
SCHEMAS = [
    version["schema"]["openAPIV3Schema"]
    for path in sorted((REPOSITORY / "crds").glob("*.yaml"))
    for version in yaml.safe_load(path.read_text())["spec"]["versions"]
]

_TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)
_FIELD = re.compile(r"(spec|status)(\.[a-z]\w*)+")
_VALUE = re.compile(r"([a-z]\w*)((\.[a-z]\w*)+)")


def broken_links(page: Page) -> Iterator[str]:
    for link in page.links:
        path, _, anchor = link.partition("#")
        target = (page.path.parent / path).resolve() if path else page.path
        if "://" in link:
            continue
        if not target.exists():
            yield f"{link}: there is no such file"
        elif anchor and anchor not in (page if target == page.path else Page(target, target.read_text())).anchors:
            yield f"{link}: there is no such heading"


def wrong_examples(page: Page) -> Iterator[str]:
    """An example is an object of ours, one of Kubernetes' own, or values of the chart."""
    for value in page.documents:
        kind = value.get("kind") if isinstance(value, dict) else None
        if kind is not None and (value.get("apiVersion"), kind) in PLAIN:
            continue
        if kind is not None and kind not in KINDS:
            yield f"{value.get('apiVersion')} {kind} is no known kind"
            continue
        try:
            parse(KINDS.get(kind, Values), without_nulls(value) if isinstance(value, dict) else value, page.name)
        except SpecError as error:
            yield error.message


def wrong_commands(page: Page) -> Iterator[str]:
    known = {
        name: {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        for name, command in commands().items()
    }
    for words in page.commands("h2k"):
        names = [word for word in words[1:2] if not word.startswith("-")]
        allowed = {"--help", "--version"}.union(*(known.get(name, set()) for name in names or known))
        options = {word.split("=")[0] for word in words[1:] if word.startswith("-")}
        yield from (f"h2k has no command {name}" for name in names if name not in known)
        yield from (f"{' '.join(words[:2])} has no option {option}" for option in sorted(options - allowed))


def wrong_targets(page: Page) -> Iterator[str]:
    targets = set(_TARGET.findall((REPOSITORY / "Makefile").read_text()))
    for words in page.commands("make"):
        yield from (f"make has no target {word}" for word in words[1:] if "=" not in word and word not in targets)


def wrong_paths(page: Page) -> Iterator[str]:
    for program, options in FILES.items():
        for words in page.commands(program):
            yield from _missing(option_values(words, *options))
    for words in page.commands("helm"):
        before = CHART_VERBS.get("".join(words[1:2]))
        if before is not None:
            yield from _missing(positional(words[2:])[before : before + 1])
    for words in page.commands("python", "python3", "pytest"):
        if "venv" not in words:  # what it makes need not be there
            yield from _missing(word for word in words[1:] if not word.startswith("-") and " " not in word)


def wrong_values(page: Page) -> Iterator[str]:
    """Values of the chart that are set on a command line, or named between backticks."""
    for words in page.commands("helm"):
        for setting in option_values(words, "--set", "--set-string"):
            path = setting.partition("=")[0]
            if not has(CHART, path.split(".")):
                yield f"the chart has no value {path}"
    for text in page.inline:
        found = _VALUE.match(text)
        if found and found[1] in CHART and not has(CHART, found[0].split(".")):
            yield f"the chart has no value {found[0]}"


def wrong_fields(page: Page) -> Iterator[str]:
    """Fields of our objects that are named between backticks."""
    for text in page.inline:
        found = _FIELD.match(text)
        if found and not any(declared(schema, found[0].split(".")) for schema in SCHEMAS):
            yield f"no object has the field {found[0]}"


CHECKS: tuple[Callable[[Page], Iterator[str]], ...] = (
    broken_links,
    wrong_examples,
    wrong_commands,
    wrong_targets,
    wrong_paths,
    wrong_values,
    wrong_fields,
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_what_a_page_names_exists(check, page):
    assert list(check(page)) == []


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (broken_links, "[page](nowhere.md)"),
        (broken_links, "[heading](README.md#nowhere)"),
        (wrong_examples, "```yaml\nkind: VirtualMachineMigration\nmetadata: {name: a}\nspec: {sorce: {}}\n```"),
        (wrong_examples, "   ```yaml\n   apiVersion: v1\n   kind: Pd\n   ```"),
        (wrong_examples, "```yaml\napiVersion: v2\nkind: Pod\n```"),
        (wrong_examples, "```yaml\noperator: {imag: {}}\n```"),
        (wrong_commands, "`h2k runn`"),
        (wrong_commands, "```sh\nh2k run --nonsense\n```"),
        (wrong_commands, "```sh\ncd /tmp && h2k run --nonsense\n```"),
        (wrong_targets, "```sh\nmake lint; make nonsense\n```"),
        (wrong_paths, "`kubectl apply -f manifests/nonsense.yaml`"),
        (wrong_paths, "`kubectl apply --filename=manifests/nonsense.yaml`"),
        (wrong_paths, "```sh\npodman build -t a -f nonsense/Containerfile .\n```"),
        (wrong_paths, "```sh\nhelm install \\\n  a --namespace b charts/nonsense\n```"),
        (wrong_paths, "`REGENERATE=1 pytest tests/nonsense`"),
        (wrong_values, "```sh\nhelm install a charts/hyper2kvm --set operator.imag.name=b\n```"),
        (wrong_values, "```sh\nhelm upgrade a charts/hyper2kvm --set=nonsense=1\n```"),
        (wrong_values, "`conversion.startDedline`"),
        (wrong_fields, "`spec.guest.whenUnsuported: Copy`"),
    ],
)
def test_a_broken_page_is_found(check, text):
    assert len(list(check(Page(REPOSITORY / "broken.md", text)))) == 1


def test_every_page_is_linked_from_another():
    linked = {(page.path.parent / link.partition("#")[0]).resolve() for page in PAGES for link in page.links}
    lost = [page.name for page in PAGES if page.path not in linked and page.name != "README.md"]
    assert lost == []


def option_values(words: list[str], *options: str) -> Iterator[str]:
    """Values of options, as `--option value` or `--option=value`."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, separator, value = word.partition("=")
        if name in options:
            yield value if separator else following


def positional(words: list[str]) -> list[str]:
    """Words that are no options; an option's value is taken for one of its own unless it is joined by `=`."""
    found, skip = [], False
    for word in words:
        if word.startswith("-"):
            skip = "=" not in word and word not in FLAGS
        elif skip:
            skip = False
        else:
            found.append(word)
    return found


def _missing(paths: Iterable[str]) -> Iterator[str]:
    yield from (f"there is no {path}" for path in paths if "/" in path and not _there(path))


def _there(path: str) -> bool:
    return "://" in path or (REPOSITORY / path).exists()


def has(value: Any, path: list[str]) -> bool:
    """Whether a path leads somewhere in a document; an empty map takes anything."""
    for name in path:
        if value == {}:
            return True
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    return True


def declared(schema: dict[str, Any], path: list[str]) -> bool:
    """Whether a structural schema has a field; items of lists and values of maps are passed through."""
    for name in path:
        while "items" in schema:
            schema = schema["items"]
        if name not in schema.get("properties", {}):
            return "additionalProperties" in schema
        schema = schema["properties"][name]
    return True
