import pytest

from lab.libvirt import Virsh


@pytest.fixture
def virsh():
    """A libvirt of the test's own."""
    with Virsh() as made:
        yield made
