"""The form that every document of the API shares: camelCase keys, no unknown ones, immutable once read."""

import json
from typing import Self

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Document(BaseModel):
    """A typed, immutable piece of JSON. Keys are camelCase outside and snake_case inside."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    def to_json(self, *, indent: int | None = None) -> str:
        """The document as JSON text, keys in the order of the model, values that are None left out."""
        return self.model_dump_json(exclude_none=True, indent=indent)

    def to_object(self) -> dict[str, object]:
        """The document as JSON values (dict, list, str, int, float, bool), values that are None left out."""
        dumped: dict[str, object] = self.model_dump(mode="json", exclude_none=True)
        return dumped

    def canonical(self, *fields: str) -> bytes:
        """One byte string for equal documents: sorted keys, no whitespace. Digests are taken over this.

        What has its default is left out, also of the documents inside: a version whose models have more fields takes the
        same digests. A field's default must stay as it is, or what was made with the old one counts as made with the new.

        Args:
            fields: the fields that count, by Python name; all when none is given.
        """
        # None is kept where it is not the default: there it differs from an absent value.
        dumped = self.model_dump(mode="json", exclude_defaults=True, include=set(fields) or None)
        return json.dumps(dumped, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def replaced(self, **changes: object) -> Self:
        """A copy with fields (by Python name) replaced, validated like a document that was read."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self).model_validate(values | changes)
