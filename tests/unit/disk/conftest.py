import pytest

from unit.disk.images import make_raw


@pytest.fixture(scope="session")
def raw(tmp_path_factory):
    """A raw disk of 40 MiB."""
    return make_raw(tmp_path_factory.mktemp("raw") / "disk.raw")


@pytest.fixture
def folder(tmp_path):
    """A folder for the source alone."""
    made = tmp_path / "source"
    made.mkdir()
    return made
