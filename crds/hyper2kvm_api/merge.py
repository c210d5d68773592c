"""Layers of options: maps merge key by key, lists and scalars replace, null removes."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias, cast

JsonObject: TypeAlias = Mapping[str, object]


def merge(layers: Iterable[JsonObject]) -> dict[str, object]:
    """One object from several, later ones winning. The arguments are not changed."""
    merged: dict[str, object] = {}
    for layer in layers:
        merged = _over(merged, layer)
    return merged


def without_nulls(value: JsonObject) -> dict[str, object]:
    """The object without the keys whose value is null, at every depth (lists are left as they are)."""
    return {
        key: without_nulls(cast("JsonObject", item)) if isinstance(item, Mapping) else item
        for key, item in value.items()
        if item is not None
    }


def _over(lower: JsonObject, upper: JsonObject) -> dict[str, object]:
    merged = dict(lower)
    for key, value in upper.items():
        below = merged.get(key)
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            merged[key] = _over(cast("JsonObject", below) if isinstance(below, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged
