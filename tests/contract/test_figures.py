"""Figures in the README are those of the last measurement."""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_the_readme_has_the_measured_table(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(REPOSITORY), *sys.path])
    from benchmarks.table import table  # noqa: PLC0415 -- the folder is no installed package

    assert table() in (REPOSITORY / "README.md").read_text()
