"""All documents: what is written to a workspace can be read again."""

import importlib
import pkgutil
import typing

import hyper2kvm
import hyper2kvm_api
from hyper2kvm_api.document import Document


def documents(kind=Document):
    for package in (hyper2kvm_api, hyper2kvm):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith((".generate", ".tether")):
                importlib.import_module(module.name)
    for found in kind.__subclasses__():
        yield found
        yield from documents(found)


def test_a_field_that_may_be_none_may_be_absent():
    """None is not written; it must come back when the document is read."""
    required = [
        f"{document.__name__}.{name}"
        for document in documents()
        for name, field in document.model_fields.items()
        if field.is_required() and type(None) in typing.get_args(field.annotation)
    ]
    assert required == []
