import pytest

from unit.stages.cases import Case


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path)
