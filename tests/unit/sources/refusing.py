"""What every refusal of a source has: a reason and a hint, and a source that is as it was."""

import pytest

from hyper2kvm.sources.files import open_source
from hyper2kvm_api.errors import SourceError


def refusal(path, kind=SourceError, format_=None):
    """The error with which a source is refused."""
    with pytest.raises(kind) as caught:
        open_source(path, format_).fetch()
    assert caught.value.hint
    return caught.value
