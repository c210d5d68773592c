"""From pydantic's JSON schema to Kubernetes' structural schema.

Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
A structural schema has no references, no alternatives beside validation, and a type everywhere. Defaults are left
out on purpose: the API server would write them into the object, and a profile could no longer set the field.
They are stated in the descriptions instead.
"""

from collections.abc import Mapping
from typing import TypeAlias, cast

from hyper2kvm_api.document import Document

Schema: TypeAlias = dict[str, object]

_COPIED = (
    "type",
    "description",
    "enum",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
)
_LIST_KEYS = {"Condition": ["type"], "DiskStatus": ["id"]}
"""Lists whose items have a key: server-side apply merges them item by item."""


def structural(model: type[Document], *, partial: bool = False) -> Schema:
    """The structural schema of a document.

    Args:
        model: the document's type.
        partial: for a layer of options: nothing is required, and null is allowed everywhere.
    """
    root = model.model_json_schema(by_alias=True, mode="validation")
    return _node(root, cast("Mapping[str, Schema]", root.get("$defs", {})), partial=partial)


def _node(node: Schema, definitions: Mapping[str, Schema], *, partial: bool) -> Schema:
    name, resolved = _resolved(node, definitions)
    exclusive = resolved.get("exclusiveMinimum")
    made: Schema = {key: resolved[key] for key in _COPIED if key in resolved}
    if exclusive == 0:
        made["minimum"] = 1
    elif exclusive is not None:
        raise ValueError(f"exclusive bound {exclusive} cannot be expressed for {name}")
    if made.get("type") == "integer":
        made["format"] = "int64"
    if "const" in resolved:
        made["enum"] = [resolved["const"]]
    description = _description(node, resolved)
    if description:
        made["description"] = description
    if made.get("type") == "object":
        _object(made, resolved, definitions, partial=partial)
    if made.get("type") == "array":
        item_name, _ = _resolved(cast("Schema", resolved["items"]), definitions)
        made["items"] = _node(cast("Schema", resolved["items"]), definitions, partial=False)
        if item_name in _LIST_KEYS:
            made |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": _LIST_KEYS[item_name]}
    if "type" not in made:
        raise ValueError(f"no type for {name or node}")
    return _nullable(made) if partial else made


def _nullable(made: Schema) -> Schema:
    """The API server holds null against a field's own enum, even if it is listed, but not against one in its allOf."""
    made["nullable"] = True
    if "enum" in made:
        made["allOf"] = [{"enum": made.pop("enum")}]
        made["description"] = f"{made['description']} {listed(made)}"
    return made


def _object(made: Schema, resolved: Schema, definitions: Mapping[str, Schema], *, partial: bool) -> None:
    properties = cast("Mapping[str, Schema]", resolved.get("properties", {}))
    if properties:
        made["properties"] = {key: _node(value, definitions, partial=partial) for key, value in properties.items()}
        required = cast("list[str]", resolved.get("required", []))
        if required and not partial:
            made["required"] = required
    additional = resolved.get("additionalProperties")
    if isinstance(additional, dict):
        made["additionalProperties"] = _node(additional, definitions, partial=partial)


def _resolved(node: Schema, definitions: Mapping[str, Schema]) -> tuple[str | None, Schema]:
    """The definition that a node stands for, with its name: references followed, `T | null` read as T."""
    name = None
    alternatives = cast("list[Schema]", node.get("anyOf", []))
    if alternatives:
        others = [a for a in alternatives if a.get("type") != "null"]
        if len(others) != 1:
            raise ValueError(f"alternatives cannot be expressed: {alternatives}")
        node = {key: value for key, value in node.items() if key != "anyOf"} | others[0]
    reference = node.get("$ref")
    if isinstance(reference, str):
        name = reference.rsplit("/", 1)[-1]
        _, target = _resolved(definitions[name], definitions)
        return name, target | {key: value for key, value in node.items() if key != "$ref"}
    return name, node


def choices(schema: Schema) -> list[object]:
    """The values that a field of a structural schema may have; none when they are not listed."""
    nested = cast("list[Schema]", schema.get("allOf", []))
    return cast("list[object]", schema.get("enum") or next((one["enum"] for one in nested if "enum" in one), []))


def listed(schema: Schema) -> str:
    """The values of a field as a sentence: `kubectl explain` shows those of a field's own enum only."""
    return f"One of {', '.join(map(str, choices(schema)))}."


def _description(node: Schema, resolved: Schema) -> str:
    """The field's own description before its type's, in one line, with the default that the resolver uses."""
    text = " ".join(str(node.get("description") or resolved.get("description") or "").split())
    default = node.get("default")
    if default in (None, [], {}) or isinstance(default, dict):
        return text
    shown = str(default).lower() if isinstance(default, bool) else str(default)
    return f"{text} Default: {shown}."
