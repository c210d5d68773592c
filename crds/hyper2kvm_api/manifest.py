"""Manifests: objects as users write them. Unknown keys are refused by path, with the nearest known key."""

import difflib
import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import pydantic
import yaml

from hyper2kvm_api.document import Document
from hyper2kvm_api.errors import SpecError
from hyper2kvm_api.merge import JsonObject, without_nulls
from hyper2kvm_api.migration import MigrationProfile, VirtualMachineMigration
from hyper2kvm_api.reasons import Reason

Model = TypeVar("Model", bound=Document)


@dataclass(frozen=True)
class Manifests:
    """The objects of one or more files.

    Attributes:
        migration: the VirtualMachineMigration as written (a profile's nulls and unset fields matter for merging).
        profiles: the MigrationProfiles as written, by name.
    """

    migration: JsonObject
    profiles: Mapping[str, JsonObject]


def parse(model: type[Model], value: object, where: str) -> Model:
    """Validate what a user wrote, as strictly as the API server does: no other spelling, no other type will do.

    Args:
        model: the document's type.
        value: the JSON value.
        where: what it is, for messages, such as a file's name.

    Raises:
        SpecError: UnknownField or InvalidSpec, naming every wrong field by its path.
    """
    try:
        text = json.dumps(value)
    except TypeError as error:  # YAML has times and bytes, which JSON has not
        raise SpecError(Reason.INVALID_SPEC, f"{where}: {error}") from None
    with refusing(where, model):
        return model.model_validate_json(text, strict=True, by_alias=True, by_name=False)


def parse_stored(model: type[Model], value: object, where: str) -> Model:
    """Read a document that this project has stored, perhaps in a newer version: unknown fields are ignored.

    Args:
        model: the document's type.
        value: the JSON value.
        where: what it is, for messages, such as `status`.

    Raises:
        SpecError: InvalidSpec: a value is of another form, or a word that this version does not know.
    """
    with refusing(where, model):
        return model.model_validate(value, extra="ignore")


@contextmanager
def refusing(where: str, model: type[Document] = Document) -> Iterator[None]:
    """Turn a document's ValidationError into a SpecError that names its fields; `model` knows the known ones."""
    try:
        yield
    except pydantic.ValidationError as error:
        raise _refusal(model, error, where) from None


def read_manifests(texts: Sequence[tuple[str, str]]) -> Manifests:
    """Read one migration and any number of profiles.

    Args:
        texts: (name, YAML) pairs; each may hold several documents.

    Raises:
        SpecError: ManifestUnreadable, UnknownField or InvalidSpec.
    """
    migrations: list[JsonObject] = []
    profiles: dict[str, JsonObject] = {}
    for name, text in texts:
        for value in documents(name, text):
            kind = value.get("kind")
            if kind == "VirtualMachineMigration":
                parse(VirtualMachineMigration, without_nulls(value), name)
                migrations.append(value)
            elif kind == "MigrationProfile":
                profile = parse(MigrationProfile, without_nulls(value), name).metadata.name
                if profile in profiles:
                    raise SpecError(Reason.INVALID_SPEC, f"{name}: there are two MigrationProfiles {profile!r}")
                profiles[profile] = value
            else:
                raise SpecError(Reason.MANIFEST_UNREADABLE, f"{name}: kind {kind!r} is not one that is read here")
    if len(migrations) != 1:
        raise SpecError(Reason.MANIFEST_UNREADABLE, f"{len(migrations)} VirtualMachineMigrations given, one is needed")
    for name, value in profiles.items():
        _check_namespace(name, value, migrations[0])
    return Manifests(migrations[0], profiles)


def documents(name: str, text: str) -> Iterator[JsonObject]:
    """The documents of a YAML or JSON file, as JSON values.

    Raises:
        SpecError: ManifestUnreadable: no YAML, a key that stands twice, or something that JSON cannot hold.
    """
    try:
        values = [json.loads(text, object_pairs_hook=_once)] if text.lstrip().startswith("{") else None
    except json.JSONDecodeError:
        values = None  # YAML in braces
    except ValueError as error:
        raise SpecError(Reason.MANIFEST_UNREADABLE, f"{name}: {error}") from None
    try:
        values = list(yaml.load_all(text, _Loader)) if values is None else values
        json.dumps(values, allow_nan=False)
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        raise SpecError(Reason.MANIFEST_UNREADABLE, f"{name}: {' '.join(str(error).split())}") from None
    for value in values:
        if value is None:
            continue
        if not isinstance(value, dict):
            raise SpecError(Reason.MANIFEST_UNREADABLE, f"{name}: a document is no mapping")
        yield value


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made: dict[str, object] = {}
    for key, value in pairs:
        if key in made:
            raise ValueError(f"{key!r} stands twice")
        made[key] = value
    return made


class _Loader(yaml.SafeLoader):
    """YAML as kubectl reads it: times are text, and a key stands once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 -- PyYAML's own
        """The mapping, with keys that are text and stand once."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag == _MERGE:
                continue
            if key.tag != _TEXT:
                raise yaml.constructor.ConstructorError(None, None, "this key is no text: quote it", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_MERGE, _TEXT, _TIME = (f"tag:yaml.org,2002:{name}" for name in ("merge", "str", "timestamp"))
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIME]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _check_namespace(name: str, profile: JsonObject, migration: JsonObject) -> None:
    """A migration takes profiles of its own namespace; one that is not stated is the other's."""
    stated = [cast("JsonObject", value["metadata"]).get("namespace") for value in (profile, migration)]
    if None not in stated and stated[0] != stated[1]:
        raise SpecError(
            Reason.INVALID_SPEC,
            f"the MigrationProfile {name!r} is of the namespace {stated[0]}, the migration of {stated[1]}",
            hint="A migration takes profiles of its own namespace: correct metadata.namespace of one of them.",
        )


def _refusal(model: type[Document], error: pydantic.ValidationError, where: str) -> SpecError:
    unknown = [e for e in error.errors() if e["type"] == "extra_forbidden"]
    if unknown:
        lines = [_unknown(model, tuple(e["loc"])) for e in unknown]
        return SpecError(Reason.UNKNOWN_FIELD, f"{where}: {'; '.join(lines)}")
    lines = [f"{_path(tuple(e['loc']))}: {_problem(e)}" for e in error.errors()]
    return SpecError(Reason.INVALID_SPEC, f"{where}: {'; '.join(lines)}")


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path


def _problem(error: Mapping[str, object]) -> str:
    given = error.get("input")
    shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) else ""
    return f"{error['msg']}{shown}"


def _unknown(model: type[Document], location: tuple[int | str, ...]) -> str:
    known = _known_keys(model, location[:-1])
    near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    guess = f" (did you mean {near[0]}?)" if near else f" (known here: {', '.join(sorted(known))})" if known else ""
    return f"unknown field {_path(location)}{guess}"


def _known_keys(model: type[Document], location: tuple[int | str, ...]) -> list[str]:
    current = model.model_json_schema(by_alias=True, mode="validation")
    root = current
    for step in (None, *location):
        if step is not None:
            current = current.get("items", {}) if isinstance(step, int) else current.get("properties", {}).get(step, {})
        for alternative in current.get("anyOf", []):
            if "$ref" in alternative or "items" in alternative:
                current = alternative
        if "$ref" in current:
            current = root["$defs"][current["$ref"].rsplit("/", 1)[-1]]
    return list(current.get("properties", {}))
