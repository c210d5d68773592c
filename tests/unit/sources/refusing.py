"""Sources as FETCH reads them; what every refusal has: a reason and a hint."""

import threading

import pytest

from hyper2kvm.events import Events
from hyper2kvm.sources.files import description_at
from hyper2kvm_api.errors import SourceError


def fetched(path, format_=None, events=None, stop=None):
    """What a path holds."""
    return description_at(path, format_).fetch(events or Events(), stop or threading.Event())


def refusal(path, kind=SourceError, format_=None):
    """The error with which a source is refused."""
    with pytest.raises(kind) as caught:
        fetched(path, format_)
    assert caught.value.hint
    return caught.value
