"""Documents as a newer version may know them: each model, and each inside of it, has one more field with a default."""

from copy import copy
from functools import cache, reduce
from operator import or_
from types import UnionType
from typing import get_args, get_origin

from pydantic import create_model

from hyper2kvm_api.document import Document


def newer(document, **more):
    """A document as a newer version reads it; `more` are fields by their names outside, such as `oneMore`."""
    return newer_model(type(document)).model_validate(document.model_dump(mode="json") | more)


@cache
def newer_model(model):
    """A model, not a recursive one, with `one_more` in it and in all that it consists of."""
    fields = {name: _newer_field(field) for name, field in model.model_fields.items()}
    return create_model(f"Newer{model.__name__}", __base__=model, **fields, one_more=(str, "as ever"))


def _newer_field(field):
    made = copy(field)
    made.annotation = _newer_type(field.annotation)
    if isinstance(field.default, Document):
        made.default = newer(field.default)
    return made.annotation, made


def _newer_type(annotation):
    if isinstance(annotation, type) and issubclass(annotation, Document):
        return newer_model(annotation)
    parts = tuple(map(_newer_type, get_args(annotation)))
    if parts == get_args(annotation):
        return annotation
    return reduce(or_, parts) if isinstance(annotation, UnionType) else get_origin(annotation)[parts]
