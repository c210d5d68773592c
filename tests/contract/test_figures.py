"""Figures in the documentation are those of the last measurement."""

import json
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def table(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(REPOSITORY), *sys.path])
    from benchmarks import table  # noqa: PLC0415 -- the folder is no installed package

    return table


def test_pages_have_the_measured_tables(table):
    for page, make in table.PAGES.items():
        assert make() in (REPOSITORY / page).read_text(), page


ON_A_LARGE_MACHINE = {"measured": "2027-01-02", "machine": "64 x CPU, guests with KVM, load 1.0 at the end"}
MEASURED = {
    "convert": {
        "throughput of nbdcopy": {"with digests": 1.5, "without digests": 1.75},
        "throughput of qemu-img": {"with digests": 1.25},
        "copied again after kill -9": {"median": "0.10%", "most": "0.20%"},
        "peak memory MiB": {"a large disk": 70, "a guest": 90},
    },
    "repair": {"share of virt-v2v": "1/9.5"},
    "cluster": {"start of Kubernetes and CDI, seconds": 44},
    "images": {
        "MiB, not compressed": {"hyper2kvm-conversion": 1800},
        "start of the appliance, seconds": {"emulated": 6.5},
    },
    "scale": {"migrations at once": 50, "100": {"looks at a migration": 13}, "1000": {"looks at a migration": 14}},
}


@pytest.fixture
def results(table, tmp_path, monkeypatch):
    """Results of one day and machine, where a test does not write others."""
    monkeypatch.setattr(table, "RESULTS", tmp_path / "results")
    table.RESULTS.mkdir()

    def write(name: str, **values: str) -> None:
        result = {"measured": "2027-01-01", "machine": f"2 x CPU, guests emulated, load {len(name)}.0 at the end"}
        (table.RESULTS / f"{name}.json").write_text(json.dumps(result | values | {"figures": MEASURED[name]}))

    for name in MEASURED:
        write(name)
    return write


def test_each_page_gets_its_table_in_the_place_of_the_old_one_and_nothing_else_changes(table, results, tmp_path):
    for page in table.PAGES:
        (tmp_path / page).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / page).write_text((REPOSITORY / page).read_text())
    table.write(tmp_path)
    for page, make in table.PAGES.items():
        before, after = table._TABLE.split((REPOSITORY / page).read_text(), maxsplit=1)
        assert (tmp_path / page).read_text() == f"{before}{make()}{after}"
    readme = (tmp_path / "README.md").read_text()
    for row in ("| 0.20% |", "| 90 MiB |", "| 1/9.5 of its time |"):
        assert row in readme
    assert "| start of Kubernetes and CDI, seconds | 44 |" in (tmp_path / "benchmarks/README.md").read_text()


def test_figures_of_other_days_and_machines_say_so(table, results):
    last = table.ratios().splitlines()[-1]
    assert last == "Measured 2027-01-01, 2 x CPU, guests emulated, load 7.0 at the end."
    results("repair", **ON_A_LARGE_MACHINE)
    assert table.ratios().splitlines()[-1].endswith("; 2027-01-02, 64 x CPU, guests with KVM, load 1.0 at the end.")
