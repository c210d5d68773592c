"""Rules that span fields, each stated once: in CEL for the API server, in Python for the spec that is effective in the end.

The API server sees one layer (a migration, or a profile) and refuses what contradicts itself there, whatever the other
layers say. A migration without profiles is the whole, with the defaults of what it leaves out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias, cast

from hyper2kvm_api.document import Document
from hyper2kvm_api.merge import JsonObject
from hyper2kvm_api.migration import MigrationSourceSpec, SourceVolume
from hyper2kvm_api.options import HANDOFF_OF_FORMAT, Compression, DiskFormat, DiskOptions, Handoff, NetworkMapping

Path: TypeAlias = tuple[str, ...]
"""Keys, from the spec on; `[]` stands for the items of a list."""


@dataclass(frozen=True)
class Rule:
    """A rule.

    Attributes:
        path: the value that it is about.
        message: what is wrong where it does not hold.
        cel: whether it holds for one layer; `self` is the value.
        holds: whether it holds for the value in an effective spec.
        whole: whether it holds for a migration without profiles, where that is more; `self` is the spec.
    """

    path: Path
    message: str
    cel: str
    holds: Callable[[object], bool]
    whole: str | None = None


def broken(spec: JsonObject) -> list[str]:
    """What is wrong with an effective spec, as JSON: a sentence a broken rule, with the path."""
    return [
        f"{_dotted(path)}: {rule.message}"
        for rule in RULES
        for path, value in _at(spec, rule.path)
        if not rule.holds(value)
    ]


def _at(value: object, path: Path, passed: Path = ()) -> Iterator[tuple[Path, object]]:
    """The values at a path; none where a part of it is absent."""
    if not path:
        yield passed, value
    elif path[0] == "[]":
        for number, item in enumerate(cast("Sequence[object]", value)):
            yield from _at(item, path[1:], (*passed, f"[{number}]"))
    elif path[0] in cast("JsonObject", value):
        yield from _at(cast("JsonObject", value)[path[0]], path[1:], (*passed, path[0]))


def _dotted(path: Path) -> str:
    return ".".join(path).replace(".[", "[")


def _exactly_one(path: Path, model: type[Document], *besides: str) -> Rule:
    """Exactly one of an object's members is there, leaving out those of `besides`."""
    members = [name for name in (str(f.alias) for f in model.model_fields.values()) if name not in besides]
    count = " + ".join(f"(has(self.{name}) ? 1 : 0)" for name in members)
    return Rule(
        path,
        f"exactly one of {', '.join(members)} is needed",
        f"{count} == 1",
        lambda value: sum(name in cast("JsonObject", value) for name in members) == 1,
    )


def _clash(
    path: Path, first: Path, second: Path, pairs: Mapping[str, Sequence[str]], message: str, assumed: str | None = None
) -> Rule:
    """Two members of an object that do not go together: values of `first` with those of `second` that they exclude.

    `assumed` is the value of `second` where it is absent.
    """
    clashes = [f"({_is(first, a)} && self.{'.'.join(second)} in {list(map(str, b))})" for a, b in pairs.items()]
    whole = None
    if assumed is not None:
        words = [str(a) for a, others in pairs.items() if assumed in others]
        here, there = (*path, *first), (*path, *second)
        whole = (
            f"(has(self.profiles) && size(self.profiles) > 0) || !({_stated(here)}) || {_stated(there)} || "
            f"!(self.{'.'.join(here)} in {words})"
        )
    return Rule(
        path,
        message,
        f"!({_stated(first)} && {_stated(second)}) || !({' || '.join(clashes)})",
        lambda value: (
            not any(_one(value, second) in others for word, others in pairs.items() if _one(value, first) == word)
        ),
        whole,
    )


def _one(value: object, path: Path) -> str | None:
    """The value at a path as CEL's literals are written here; None when it is absent."""
    found = next((found for _, found in _at(value, path)), None)
    return None if found is None else str(found).lower() if isinstance(found, bool) else str(found)


def _is(path: Path, word: str) -> str:
    literal = word if word == "true" else f"'{word}'"
    return f"self.{'.'.join(path)} == {literal}"


def _stated(path: Path) -> str:
    """Whether a layer states a value. Null is none, and CEL's types know no null."""
    names = ["self." + ".".join(path[: number + 1]) for number in range(len(path))]
    return " && ".join(f"has({name}) && dyn({name}) != null" for name in names)


def _stays_inside(value: object) -> bool:
    path = PurePosixPath(str(value))
    return not path.is_absolute() and ".." not in path.parts


RULES: Sequence[Rule] = (
    _exactly_one(("source",), MigrationSourceSpec),
    _exactly_one(("source", "files", "volume"), SourceVolume),
    Rule(
        ("source", "files", "path"),
        "must be relative and without '..'",
        "!self.startsWith('/') && !self.split('/').exists(p, p == '..')",
        _stays_inside,
    ),
    _exactly_one(("target", "virtualMachine", "networks", "[]"), NetworkMapping, "source"),
    _clash(
        ("target",),
        ("handoff",),
        ("disks", "format"),
        {
            handoff: [format_ for format_ in DiskFormat if HANDOFF_OF_FORMAT[format_] is not handoff]
            for handoff in Handoff
            if handoff is not Handoff.NONE
        },
        "handoff Adopt needs disks.format raw, Import needs qcow2",
        DiskOptions().format,
    ),
    _clash(
        ("target", "disks"),
        ("compression",),
        ("format",),
        {
            compression: [format_ for format_ in DiskFormat if format_ is not DiskFormat.QCOW2]
            for compression in Compression
            if compression is not Compression.NONE
        },
        "only qcow2 disks can be compressed",
        DiskOptions().format,
    ),
    _clash(
        ("target",),
        ("virtualMachine", "create"),
        ("handoff",),
        {"true": [Handoff.NONE]},
        "virtualMachine.create needs handoff Adopt or Import",
    ),
    _clash(
        ("target",),
        ("virtualMachine", "create"),
        ("disks", "format"),
        {"true": [DiskFormat.VDI]},
        "virtualMachine.create needs disks.format raw or qcow2",
    ),
    _clash(("machine",), ("secureBoot",), ("firmware",), {"true": ["bios"]}, "secureBoot needs firmware uefi"),
)
