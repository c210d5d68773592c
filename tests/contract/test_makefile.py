"""What `make` does around the tests: programs that note their calls stand in for the tests and for the cluster."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

PROGRAM = """#!/bin/bash
echo "$(basename "$0") $*" >> "{log}"
{body}
"""


@pytest.fixture
def machine(tmp_path):
    """Starts `make test` on a machine whose programs behave as told."""
    log = tmp_path / "log"

    def program(name: str, body: str) -> Path:
        path = tmp_path / name
        path.write_text(PROGRAM.format(log=log, body=body))
        path.chmod(0o755)
        return path

    def start(cluster: str, pytest_: str = "") -> subprocess.Popen:
        programs = {"CLUSTER": program("cluster", cluster), "PYTEST": program("pytest", pytest_), "PYTHON": "true"}
        # What the tests need first is not made here.
        command = [
            "make",
            "--old-file=bootstrap",
            "--old-file=lint",
            "test",
            *(f"{k}={v}" for k, v in programs.items()),
        ]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        return subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    start.log = log
    return start


def calls(machine) -> list[str]:
    return [line.strip() for line in machine.log.read_text().splitlines() if line.startswith("cluster")]


STOPPED = "[ $1 = status ] && exit 1"


def test_the_cluster_of_the_tests_goes_after_them(machine):
    assert machine(STOPPED + "; true").wait(60) == 0
    assert calls(machine) == ["cluster prepare --kubevirt", "cluster status", "cluster up", "cluster down"]


def test_a_cluster_that_was_there_before_stays(machine):
    assert machine("true").wait(60) == 0
    assert "cluster down" not in calls(machine)


def test_programs_that_cannot_be_built_end_it_before_the_tests_that_take_long(machine):
    assert machine("[ $1 != prepare ]").wait(60) != 0
    assert calls(machine) == ["cluster prepare --kubevirt"]
    assert "appliance or guest" not in machine.log.read_text()


def test_a_cluster_that_does_not_come_up_goes_and_no_test_starts(machine):
    assert machine(STOPPED + "; [ $1 != up ]").wait(60) != 0
    assert calls(machine)[-2:] == ["cluster up", "cluster down"]
    assert "cluster and" not in machine.log.read_text()


@pytest.mark.parametrize(
    ("failing", "other"), [*itertools.permutations(["cluster and not alone", "cluster and alone"])]
)
def test_tests_that_fail_fail_the_command_and_the_cluster_goes(machine, failing, other):
    """When the others have ended, too: what they say counts."""
    assert machine(STOPPED + "; true", f'[[ "$*" != *"{failing}"* ]] && sleep 0.5').wait(60) != 0
    assert calls(machine)[-1] == "cluster down"
    assert other in machine.log.read_text()


def test_the_cluster_of_interrupted_tests_goes(machine):
    running = machine(STOPPED + "; true", '[[ "$*" != *"cluster and not alone"* ]] || sleep 60')
    began = time.monotonic()
    while not (machine.log.exists() and "cluster and not alone" in machine.log.read_text()):
        assert time.monotonic() - began < 30
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait(60) != 0
    assert calls(machine)[-1] == "cluster down"


def test_tests_may_be_interrupted_wherever_they_were_started_from(tmp_path):
    """As by a shell in its background."""
    test = tmp_path / "test_signal.py"
    test.write_text(
        "import signal\n\ndef test_it():\n    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
    )
    ignoring = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh"]
    command = [sys.executable, "-m", "pytest", "-q", f"--confcutdir={REPOSITORY}", "-p", "conftest", str(test)]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "tests")}
    ended = subprocess.run(
        [*ignoring, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout


def test_a_cluster_is_removed_without_installing_anything():
    command = ["make", "--dry-run", "cluster-down"]
    told = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert "bootstrap.py" not in told


@pytest.mark.parametrize(("setting", "kubevirt"), [((), False), (("KUBEVIRT=1",), True)])
def test_kubevirt_comes_on_demand(setting, kubevirt):
    command = ["make", "--dry-run", "cluster", *setting]
    told = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert ("up --kubevirt" in told) is kubevirt
