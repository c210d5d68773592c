"""Which source a plan names."""

from hyper2kvm.sources.description import Source
from hyper2kvm.sources.files import Files
from hyper2kvm_api.plan import PlannedSource


def source_of(planned: PlannedSource) -> Source:
    """The source. Nothing is opened yet."""
    return Files(planned)
