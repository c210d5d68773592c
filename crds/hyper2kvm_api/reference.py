"""The reference page of the API, made from the CustomResourceDefinitions: what `kubectl explain` says, on one page."""

from collections.abc import Iterator
from typing import cast

from hyper2kvm_api.crd import migration_crd, profile_crd
from hyper2kvm_api.migration import GROUP, VERSION, MigrationProfile, VirtualMachineMigration
from hyper2kvm_api.structural import Schema, choices, listed

_HEAD = ["| field | type | meaning |", "|---|---|---|"]
_PROFILE = (
    "`spec` has the fields `{fields}` of a migration's `spec`, with the same meaning. A migration names profiles in "
    "`spec.profiles`; later ones win over earlier ones, and the migration's own fields over all: objects are merged, "
    "lists replaced, and null removes what was set."
)


def api_page(header: str) -> str:
    """The page, in Markdown.

    Args:
        header: what generates it.
    """
    migration, profile = _schema(migration_crd()), _schema(profile_crd())
    fields = "`, `".join(_members(_members(profile)["spec"]))
    lines = [
        f"<!-- {header} -->",
        "# API",
        "",
        f"Group `{GROUP}`, version `{VERSION}`. `kubectl explain` says the same.",
    ]
    lines += ["", f"## {VirtualMachineMigration.__name__} (`vmig`)", "", _meaning(migration)]
    for part in ("spec", "status"):
        schema = _members(migration)[part]
        lines += ["", f"### {part}", "", _meaning(schema), "", *_HEAD, *_rows(schema, "")]
    lines += [
        "",
        f"## {MigrationProfile.__name__} (`mprof`)",
        "",
        _meaning(profile),
        "",
        _PROFILE.format(fields=fields),
    ]
    return "\n".join(lines) + "\n"


def _rows(schema: Schema, prefix: str) -> Iterator[str]:
    required = cast("list[str]", schema.get("required", []))
    for name, member in _members(schema).items():
        path = f"{prefix}{name}"
        needed = ", required" if name in required else ""
        yield f"| `{path}` | {_type(member)}{needed} | {_meaning(member)} |"
        items = cast("Schema", member.get("items", {}))
        yield from _rows(member, f"{path}.")
        yield from _rows(items, f"{path}[].")


def _type(schema: Schema) -> str:
    if choices(schema):
        return ", ".join(f"`{value}`" for value in choices(schema))
    if "items" in schema:
        return f"list of {_type(cast('Schema', schema['items']))}"
    if "additionalProperties" in schema:
        return "map of strings"
    return ", ".join((str(schema.get("type", "any")), *_limits(schema)))


def _limits(schema: Schema) -> Iterator[str]:
    """What a value must keep to, in words."""
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        yield f"{least} to {most}"
    elif least is not None:
        yield f"{least} or more"
    if "pattern" in schema:
        yield f"`{schema['pattern']}`".replace("|", "\\|")
    if "maxLength" in schema:
        yield f"at most {schema['maxLength']} characters"


def _meaning(schema: Schema) -> str:
    """A field's description, with the rules that hold for it or for its items."""
    ruled = (schema, cast("Schema", schema.get("items", {})))
    rules = [rule for one in ruled for rule in cast("list[dict[str, str]]", one.get("x-kubernetes-validations", []))]
    text = str(schema.get("description", "")).removesuffix(listed(schema)).strip()
    said = [text, *(f"*{rule['message']}*" for rule in rules)]
    return " ".join(one for one in said if one).replace("|", "\\|")


def _members(schema: Schema) -> dict[str, Schema]:
    return cast("dict[str, Schema]", schema.get("properties", {}))


def _schema(crd: Schema) -> Schema:
    (version,) = cast("dict[str, list[Schema]]", crd["spec"])["versions"]
    return cast("Schema", cast("Schema", version["schema"])["openAPIV3Schema"])
