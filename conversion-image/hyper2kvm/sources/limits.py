"""What a source says of its machine, held against the limits of the API's documents."""

from collections.abc import Iterator
from contextlib import contextmanager

import pydantic

from hyper2kvm_api.errors import SourceError
from hyper2kvm_api.reasons import Reason


@contextmanager
def within_limits(name: str) -> Iterator[None]:
    """Take values that no document allows (a million CPUs, a name of 1 MB) as the fault of the file `name`.

    Raises:
        SourceError: MachineDescriptionInvalid.
    """
    try:
        yield
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise SourceError(Reason.MACHINE_DESCRIPTION_INVALID, f"{name}: {field}: {first['msg']}", file=name) from None
