"""Figures in the documentation are those of the last measurement."""

import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("page", "table"),
    [("README.md", "table"), ("docs/operations/scale.md", "scale_table"), ("docs/tasks/install.md", "images_table")],
)
def test_a_page_has_the_measured_table(monkeypatch, page, table):
    monkeypatch.setattr(sys, "path", [str(REPOSITORY), *sys.path])
    from benchmarks import table as tables  # noqa: PLC0415 -- the folder is no installed package

    assert getattr(tables, table)() in (REPOSITORY / page).read_text()
