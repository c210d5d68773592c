"""JSON Schema (2020-12), as far as this project's schemas use it; a keyword that is not known here is an error."""

import re

_DESCRIBING = {"$comment", "$schema", "$defs", "title", "description", "default", "format", "examples"}
_TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def problems(schema, value, root=None, path="$"):
    """What is wrong with a JSON value; nothing when it is valid."""
    root = root or schema
    for keyword, wanted in schema.items():
        if keyword in _DESCRIBING:
            continue
        for problem in _CHECKS[keyword](wanted, value, schema, root, path):
            yield f"{path}: {problem}" if not problem.startswith("$") else problem


def _ref(wanted, value, _schema, root, path):
    yield from problems(root["$defs"][wanted.removeprefix("#/$defs/")], value, root, path)


def _type(wanted, value, *_):
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {"integer": number and value == int(value), "number": number}.get(wanted)
    if not (isinstance(value, _TYPES[wanted]) if fits is None else fits):
        yield f"{value!r} is no {wanted}"


def _any_of(wanted, value, _schema, root, path):
    if all(list(problems(each, value, root, path)) for each in wanted):
        yield f"{value!r} fits none of {wanted}"


def _properties(wanted, value, _schema, root, path):
    for name, schema in wanted.items() if isinstance(value, dict) else ():
        if name in value:
            yield from problems(schema, value[name], root, f"{path}.{name}")


def _additional(wanted, value, schema, root, path):
    for name in value.keys() - schema.get("properties", {}).keys() if isinstance(value, dict) else ():
        if wanted is False:
            yield f"{name} is not declared"
        elif wanted is not True:
            yield from problems(wanted, value[name], root, f"{path}.{name}")


def _items(wanted, value, _schema, root, path):
    for number, item in enumerate(value) if isinstance(value, list) else ():
        yield from problems(wanted, item, root, f"{path}[{number}]")


def _when(kind, broken, said):
    def check(wanted, value, *_):
        if isinstance(value, kind) and not isinstance(value, bool) and broken(wanted, value):
            yield f"{value!r} {said} {wanted!r}"

    return check


_NUMBER = int | float
_CHECKS = {
    "$ref": _ref,
    "type": _type,
    "anyOf": _any_of,
    "properties": _properties,
    "additionalProperties": _additional,
    "propertyNames": lambda wanted, value, _s, root, path: (
        p for name in value for p in problems(wanted, name, root, path)
    ),
    "items": _items,
    "required": _when(dict, lambda wanted, value: set(wanted) - value.keys(), "lacks one of"),
    "enum": _when(object, lambda wanted, value: value not in wanted, "is none of"),
    "const": _when(object, lambda wanted, value: value != wanted, "is not"),
    "pattern": _when(str, lambda wanted, value: not re.search(wanted, value), "does not match"),
    "minimum": _when(_NUMBER, lambda wanted, value: value < wanted, "is less than"),
    "maximum": _when(_NUMBER, lambda wanted, value: value > wanted, "is more than"),
    "exclusiveMinimum": _when(_NUMBER, lambda wanted, value: value <= wanted, "is not more than"),
    "minLength": _when(str, lambda wanted, value: len(value) < wanted, "is shorter than"),
    "maxLength": _when(str, lambda wanted, value: len(value) > wanted, "is longer than"),
    "minItems": _when(list, lambda wanted, value: len(value) < wanted, "has fewer items than"),
    "maxItems": _when(list, lambda wanted, value: len(value) > wanted, "has more items than"),
    "maxProperties": _when(dict, lambda wanted, value: len(value) > wanted, "has more keys than"),
}
