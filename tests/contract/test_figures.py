"""Figures in the documentation are those of the last measurement."""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_pages_have_the_measured_tables(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(REPOSITORY), *sys.path])
    from benchmarks.table import PAGES  # noqa: PLC0415 -- the folder is no installed package

    for page, make in PAGES.items():
        assert make() in (REPOSITORY / page).read_text(), page
