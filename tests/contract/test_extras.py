"""What an installation with one extra, or with none, can do: modules of the others must not be asked for."""

import json
import subprocess
import sys

import pytest

from hyper2kvm.modules import BINDINGS, EXTRAS
from lab.cluster.kubectl import NOBODY
from unit.cli.tiny import tiny

CONVERSION = {*BINDINGS, *EXTRAS["conversion"]}
OPERATOR = {*EXTRAS["operator"]}

H2K_WITHOUT = """
import sys

blocked = set(sys.argv[1].split(","))


class Without:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in blocked else self.finder.find_spec(name, path, target)


sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
sys.argv = ["h2k", *sys.argv[2:]]

from hyper2kvm.cli import main

main()
"""


def without(modules, *words, **environment):
    command = [sys.executable, "-c", H2K_WITHOUT, ",".join(modules), *map(str, words)]
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin", "HOME": "/nonexistent", **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100, env=environment)


@pytest.mark.parametrize("words", [["status"], ["report", "--namespace", "moves", "web01"]], ids=lambda words: words[0])
def test_the_operators_extra_alone_asks_a_cluster(tmp_path, words):
    """There is none, and nothing is missing to find that out."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(NOBODY)
    ended = without(CONVERSION, *words, KUBECONFIG=str(kubeconfig))
    assert ended.returncode == 10, ended.stderr
    assert "ModuleMissing" not in ended.stderr


def test_the_conversions_extra_alone_migrates_and_reports(tmp_path):
    ended = without(OPERATOR, "run", tiny(tmp_path), "--output", tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    assert without(OPERATOR, "report", tmp_path / "out/tiny.h2k").returncode == 0


@pytest.mark.parametrize(
    ("missing", "words", "hint"),
    [
        (OPERATOR, ["status", "--watch"], "hyper2kvm-operator[operator]"),
        (OPERATOR, ["report", "-n", "moves", "web01"], "hyper2kvm-operator[operator]"),
        ({"jinja2"}, ["run", "web01.yaml"], "hyper2kvm-operator[conversion]"),
        ({"nbd"}, ["run", "web01.yaml"], "python3-libnbd"),
        ({"defusedxml"}, ["inspect", "--help"], "hyper2kvm-operator[conversion]"),
    ],
)
def test_a_command_that_lacks_a_module_says_what_installs_it(missing, words, hint):
    ended = without(missing, *words)
    assert ended.returncode == 8
    error, remedy = ended.stderr.splitlines()
    assert error.startswith("error ModuleMissing: the Python module ")
    assert hint in remedy


def test_what_is_missing_is_the_last_line_of_json():
    ended = without(CONVERSION, "run", "web01.yaml", "--json")
    (line,) = ended.stdout.splitlines()
    assert (json.loads(line)["type"], json.loads(line)["reason"]) == ("Failed", "ModuleMissing")


def test_help_needs_nothing():
    ended = without(CONVERSION | OPERATOR, "--help")
    assert ended.returncode == 0, ended.stderr
    assert "run " in ended.stdout
    assert "(not possible: the Python module" in ended.stdout
    assert "describe" not in ended.stdout


def test_the_doctor_says_all_that_is_missing(tmp_path):
    ended = without(CONVERSION | OPERATOR, "doctor", "--json", "--output", tmp_path, PATH=str(tmp_path))
    *checks, last = [json.loads(line) for line in ended.stdout.splitlines()]
    ill = {check["name"]: check for check in checks if not check["well"]}
    for module in CONVERSION:
        assert ill[f"Python module {module}"]["needed"]
    assert "python3-libnbd" in ill["Python module nbd"]["remedy"]
    assert not ill["Python module kubernetes"]["needed"]
    assert "qemu-utils" in ill["qemu-img"]["remedy"]
    assert ill["Appliance"]["needed"]
    assert (ended.returncode, last["reason"]) == (8, "ModuleMissing")
